package demo

import "strings"

// turkishNouns holds nominative, accusative and genitive, because vowel harmony
// and softened consonants are safer written out than computed.
const turkishNouns = "düşünce düşünceyi düşüncenin|bilinç bilinci bilincin|zaman zamanı zamanın|varlık varlığı varlığın|" +
	"insan insanı insanın|dil dili dilin|soru soruyu sorunun|dünya dünyayı dünyanın|bellek belleği belleğin|" +
	"anlam anlamı anlamın|ışık ışığı ışığın|bilgi bilgiyi bilginin|gölge gölgeyi gölgenin|deniz denizi denizin|" +
	"gece geceyi gecenin|kitap kitabı kitabın|ses sesi sesin|yol yolu yolun|şehir şehri şehrin|rüya rüyayı rüyanın|" +
	"çocuk çocuğu çocuğun|öğretmen öğretmeni öğretmenin|kaygı kaygıyı kaygının|hakikat hakikati hakikatin|" +
	"özgürlük özgürlüğü özgürlüğün|sessizlik sessizliği sessizliğin|bahçe bahçeyi bahçenin|harf harfi harfin|" +
	"ayna aynayı aynanın|kapı kapıyı kapının|rüzgâr rüzgârı rüzgârın|hatıra hatırayı hatıranın"

const turkishAdjectives = "eski derin sessiz açık uzak yeni gizli basit ağır ince karanlık sonsuz yalnız güzel unutulmuş"

const turkishVerbs = "taşır|değiştirir|aydınlatır|açar|gizler|arar|bulur|unutur|hatırlar|sorgular|dinler|izler|ölçer|yeniden kurar|çağırır|tamamlar"

const turkishTitles = "{N} ve {M}|{G} Kitabı|{N} Üzerine Denemeler|{G} {adj} Gölgesi|{place} Mektupları"

// turkishSentences use {N} nominative, {K} accusative, {G} genitive.
var turkishSentences = strings.Split(
	"{N} {K} {v}.|"+
		"{adj} bir {n} {K} {v}, çünkü {n} {K} {v}.|"+
		"{G} içinde her zaman {adj} bir {n} vardır.|"+
		"Düşünce, {G} önünde durur ve {K} {v}.|"+
		"Bilinç olmadan {n} {adj} bir {n} olarak kalır.|"+
		"{name} {year} yılında {place} şehrinde {K} yazdı.|"+
		"{N} nedir? {name} bu soruya {adj} bir {n} ile karşılık verdi.|"+
		"Her {n} {K} {v}, ama hiçbir {n} {K} {v} denemez.|"+
		"{G} anlamı {G} anlamından daha eskidir.|"+
		"{place} yolunda {num} {n} ve {num} {n} gördük.|"+
		"İnsan {K} ararken {K} bulur.|"+
		"Zaman geçer, {n} kalır, {n} {K} {v}.|"+
		"Eğer {n} {adj} ise {n} de {adj} olmalıdır.|"+
		"Kimse {K} tek başına taşıyamaz; {n} bunun için vardır.|"+
		"{name} buna {coin} dedi ve {K} anlattı.|"+
		"Bir {n}, başka bir {n} kadar {adj} olabilir.|"+
		"Düşünce ile bilinç arasında {adj} bir {n} durur.|"+
		"{G} sonunda {n}, {G} başında {n} bekler.", "|")

var turkishNumbers = strings.Fields("iki üç dört beş yedi dokuz on kırk yüz bin")

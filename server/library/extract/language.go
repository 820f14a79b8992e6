package extract

import (
	"strings"
	"unicode"
)

// Stop words are words that say nothing of what a text is about. The lists are our own: articles, pronouns, prepositions,
// conjunctions, auxiliary verbs, numerals, and adverbs and verbs so common that no phrase is named by them; the English
// one goes back to the spelling of the 18th century. They are folded once, as everything compared with them is.
var (
	englishStops = foldedWords(
		"a about above abovesaid according accordingly across actually after afterwards again against ago all almost alone along already also although altogether always am amid among amongst an and " +
			"another any anybody anyone anything anyway anywhere apart are aren't around as aside ask asked at away back be became because become becomes been before beforehand began begin " +
			"behind being believe below beneath beside besides best better between betwixt beyond both bring brought but by call called came can can't cannot certain certainly chiefly come comes coming " +
			"common commonly compared concerning consequently considering contained could couldn't day did didn't different divers do does doesn't doing don't done down downwards du during each eight eighth " +
			"either eleven else elsewhere enough entirely equal equally er ere especially etc even evenly ever every everybody everyone everything everywhere exactly except exceeding exceedingly far farther few fifth fifty " +
			"find first five follow followed following follows for former formerly forth found four fourth from full fully further furthermore gave generally get gets getting give given gives go goes going gone good " +
			"got great greater greatest greatly had hadn't half happen happened happens hardly has hasn't hast hath have haven't having he held hence her here hereafter hereby herein hereof hereupon hers herself hereto hid him " +
			"himself his hither how however hundred i if immediately in inasmuch indeed indifferently inner instead intense into inward is isn't it its itself just keep kept kind kinds knew know known knows large last late lately later latter " +
			"lay least leave left less lest let like likely likewise little ll long longer look looked made mainly make makes making manner many matter may me mean means meant meanwhile merely met might mine moderately more moreover most mostly mr " +
			"mrs much must mustn't my myself namely nay near nearer nearest nearly necessary need needs neither never nevertheless next nigh nine ninth no nobody none nor not notwithstanding nothing now nowhere o observe observed obvious of off often " +
			"oft oh on once one ones only onto or other others otherwise ought our ours ourselves out outer outward over own part parts particular particularly perceive perceived perfectly perhaps place placed please possible presently pretty probably " +
			"proceed put quite rather re ready really regard respectively said same saw say saying says scarce second see seem seemed seems seen self send sent set seven seventh several shall shalt she should shouldn't shew shewed " +
			"shewn show showed shown shows side since sir six sixth small smaller so some somebody something sometime sometimes somewhat somewhere soon sort sorts st still strange such suddenly suppose supposed sure take taken takes taking tell " +
			"ten tenth than that that's the thee their theirs them themselves then thence there thereby therefore therein thereof thereupon these they thine thing things think third thirty this thither tho those thou though thought thousand three " +
			"thrice through throughout thus thy thyself till times tis to together too took toward towards tried truly try turn turned twas twelve twenty twice two under unless unlike until unto up upon us use used useful using usual usually various ve " +
			"very vide viz want was wasn't way ways we well went were weren't what whatever whatsoever when whence whenever where whereas whereby wherefore wherein whereof whereon wheresoever whereupon wherever whether which whichever while " +
			"whilst whither who whoever whole wholly whom whose why will wilt with within without won't would wouldn't ye yea year years yes yet yon you your yours yourself yourselves " +
			"ad al cf ed eg etc fig figs ibid ie op pp prop propos theor prob defin exper obs lect sect cap chap qu vol vols axiom chapter book page " +
			"quantity quantities always new old big able add added adding answer appear appeared appears arise arises ariseth consider considered described describe doth represent represented")
	turkishStops = foldedWords(
		"acaba ait altı ama ancak arada artık aslında asla ayrıca az bana bazen bazı bazıları belki ben benden beni benim beri beş bile bin bir birçoğu birçok biri birileri birisi birkaç birlikte birşey biz bizden bize bizi bizim bizzat böyle " +
			"böylece böylelikle bu buna bundan bunda bunlar bunları bunların bunu bunun burada buradan buraya bütün büyük bulunan bulunur çoğu çoğunu çok çünkü da daha dahi dan de defa değil değildi değildir dek demek den diğer diğeri diğerleri diye dolayı " +
			"dolayısıyla dört doğru edecek eden ederek edilecek edilen ediliyor edilmesi ediyor edip eğer elbette en epey eski et etmek etmesi etti ettiği ettiğini etti ey fakat falan filan gene gerek gereken gerekir gerçekten gibi gidip göre görür gör hala halde " +
			"halen hangi hangisi hani hatta hem henüz hep hepsi her herhangi herkes herkese herkesi herkesin hiç hiçbir hiçbiri hoş iç için içinde içinden iki ile ilgili ilk ise işte itibaren itibarıyla iyi kaç kadar karşı karşın kendi kendilerine " +
			"kendine kendini kendisi kendisine kendisini kez ki kim kimden kime kimi kimin kimse kimsenin kırk lakin madem me mı mi mu mü milyon milyar nasıl ne neden nedenle nerde nerede nereden nereye nesi neyse niçin nin nın niye nu nün o olan olanlar olarak olacak " +
			"oldu olduğu olduğunu olduklarını olması olmayan olmaz olmak olmuş olsa olsun olup olur olursa oluyor on ona ondan onlar onlara onlardan onları onların onu onun orada oradan oraya otuz oysa oysaki öbür ön önce önceki ötürü öyle pek peki rağmen sadece " +
			"sanki sekiz seksen sen senden seni senin siz sizden size sizi sizin son sonra sonraki şayet şey şeyden şeyi şeyin şeyler şimdi şöyle şu şuna şunda şundan şunları şunu şunun ta tabii tam tamam tamamen tarafından tek trilyon tüm tümü üç üzere üzerinde üzerine var vardı " +
			"vardır ve veya veyahut vb vs ya yahut yani yapacak yapılan yapılması yapıyor yapmak yaptı yaptığı yaptığını yedi yeni yerine yetmiş yine yirmi yok yoksa yüz yüzden zaten zira dedi diyor der değin ister mesela nitekim söz konusu biraz bitti böylesi " +
			"ilgili ilk ileri geri içeri dışarı yukarı aşağı alt üst bölüm kitap sayfa idi imiş iken vardı yoktu olmadığı olacağı gelen giden kalan ederken olurken onca bunca birden hemen oldukça özellikle genellikle bakımından açısından")
)

func foldedWords(list string) map[string]bool {
	set := make(map[string]bool)
	for w := range strings.FieldsSeq(list) {
		w = strings.ReplaceAll(w, "'", "")
		set[fold(w)] = true
	}
	return set
}

const languageSample = 5000 // words looked at to guess a language

// guessLanguage returns "en" or "tr" when the share of that language's stop words leaves no doubt, else "". Running English
// has about one stop word in two, Turkish one in five, other languages next to none of either.
func guessLanguage(t Text) string {
	var g languageGuess
	for _, s := range t.Sections {
		for _, p := range s.Paragraphs {
			if g.add(p) {
				return g.language()
			}
		}
	}
	return g.language()
}

type languageGuess struct{ words, english, turkish int }

// add counts the words of s and reports whether it has seen enough.
func (g *languageGuess) add(s string) bool {
	for w := range strings.FieldsFuncSeq(s, notLetter) {
		if len(w) > 40 {
			continue
		}
		w = fold(w)
		g.words++
		if englishStops[w] {
			g.english++
		}
		if turkishStops[w] {
			g.turkish++
		}
		if g.words >= languageSample {
			return true
		}
	}
	return false
}

func (g *languageGuess) language() string {
	switch {
	case g.words < 20:
		return ""
	case g.english*100 >= g.words*30 && g.english > g.turkish:
		return "en"
	case g.turkish*100 >= g.words*10 && g.turkish > 2*g.english:
		return "tr"
	}
	return ""
}

func isTurkish(t Text) bool {
	lang := t.Language
	if lang == "" {
		lang = guessLanguage(t)
	}
	primary, _, _ := strings.Cut(lang, "-")
	return strings.EqualFold(primary, "tr") || strings.EqualFold(primary, "tur")
}

// hasLetterRun reports whether w is a word worth a name: at least two letters and no digit.
func hasLetterRun(w string) bool {
	letters := 0
	for _, r := range w {
		switch {
		case unicode.IsDigit(r):
			return false
		case unicode.IsLetter(r):
			letters++
		}
	}
	return letters >= 2
}

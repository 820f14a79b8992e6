package demo

import "strings"

// A nameBook invents people, places and terms. They give the text the long tail
// of rare words that real books have: a term of rank r appears about 1/r as
// often as the commonest.
type nameBook struct {
	surnames, places, terms []string
	tail                    *zipf
}

// nameCount is the number of invented words of each kind.
const nameCount = 12000

func newNameBook() *nameBook {
	src := newSource(0x746f6d65, 0) // fixed: every library knows the same people
	seen := map[string]bool{}
	fresh := func(make func() string) string {
		for {
			if word := make(); !seen[word] {
				seen[word] = true
				return word
			}
		}
	}
	book := &nameBook{tail: newZipf(nameCount)}
	for range nameCount {
		book.surnames = append(book.surnames, fresh(func() string { return invent(src, 2, surnameEnds) }))
		book.places = append(book.places, fresh(func() string { return invent(src, 2, placeEnds) }))
		book.terms = append(book.terms, fresh(func() string { return strings.ToLower(invent(src, 3, termEnds)) }))
	}
	return book
}

var (
	onsets      = strings.Fields("b br c cr d dr f fl g gr h k kl l m n p pr r s st t tr v w th sh")
	vowels      = strings.Fields("a e i o u a e o ai ea")
	middles     = strings.Fields("l r n m nd rt ll s st v d lm rr k")
	surnameEnds = strings.Fields("by er ow well man ing stone ard in ett old ley son ick")
	placeEnds   = strings.Fields("ton ford mouth stead ham bury wick haven dale mere holm field")
	termEnds    = strings.Fields("ia ism ene ora ine esis um or ilt ane")
)

// invent builds a pronounceable word that begins in upper case.
func invent(src *source, syllables int, ends []string) string {
	var b strings.Builder
	b.WriteString(onsets[src.intn(len(onsets))])
	for range src.between(1, syllables) {
		b.WriteString(vowels[src.intn(len(vowels))])
		b.WriteString(middles[src.intn(len(middles))])
	}
	b.WriteString(ends[src.intn(len(ends))])
	word := b.String()
	return strings.ToUpper(word[:1]) + word[1:]
}

func (b *nameBook) person(src *source) string { return b.surnames[b.tail.rank(src)] }
func (b *nameBook) place(src *source) string  { return b.places[b.tail.rank(src)] }
func (b *nameBook) coined(src *source) string { return b.terms[b.tail.rank(src)] }

var (
	forenames        = strings.Fields("Ilse Marten Odile Rufus Hanne Tobias Cora Emmerich Lina Jory Agathe Silas Nora Bastian Wren Iver Petra Alban Maud Rainer")
	turkishForenames = strings.Fields("Kerem Nilüfer Selim Ayla Cemil Feride Orhun Leman Tarık Sevgi Nazif Melek")
	turkishSurnames  = strings.Fields("Aldoğan Çınarlı Denizer Göksoylu Karamürsel Özbahçe Şenyol Taşkıran Ünverdi Yelkovan Irmakçı Söğütlü")
)

// author invents the full name of a book's author.
func (b *nameBook) author(src *source, turkish bool) string {
	if turkish {
		return turkishForenames[src.intn(len(turkishForenames))] + " " + turkishSurnames[src.intn(len(turkishSurnames))]
	}
	return forenames[src.intn(len(forenames))] + " " + b.surnames[src.intn(nameCount)]
}

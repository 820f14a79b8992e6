package loadtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// maxText bounds what {{text|…}} makes for one template.
const maxText = 16 << 20

// textUnits are those in which the size of {{text|…}} is given.
var textUnits = map[string]float64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}

// compileText reads the size of {{text|64KiB}}.
func compileText(size string, normal escape) (part, error) {
	v, ok := parseQuantity(size, textUnits)
	if !ok || v < 1 || v > maxText || v != float64(int(v)) {
		return part{}, fmt.Errorf("{{text|%s}}: the size must be from 1B to %dMiB, such as {{text|64KiB}}", size, maxText>>20)
	}
	return part{kind: refText, index: int(v), escape: normal}, nil
}

// Words of the sentences: "The old reader of the garden slowly forgets a quiet law.". They are plain English, so that a
// library's language detection, passages and concepts have something to work on.
var (
	textDeterminers = strings.Fields("the a one every no this that another our their some")
	textAdjectives  = strings.Fields(`old quiet strange early bright hollow common patient northern bitter simple distant careful broken
		secret gentle ancient narrow heavy sudden honest pale restless golden silent modern rural learned wooden tender severe idle`)
	textNouns = strings.Fields(`reader garden law letter harbour memory river teacher winter kingdom question mirror stranger library
		season bridge argument village shadow physician promise island history merchant number window language mountain sailor machine
		journey evening servant theory orchard witness painter battle measure chapter desert daughter lantern treaty station poet
		silence harvest judge forest market prison vessel doctrine castle weather bishop meadow instrument festival soldier valley`)
	textVerbs = strings.Fields(`forgets describes follows carries answers measures remembers opens keeps explains refuses finds
		changes crosses divides imagines repeats supports betrays awaits governs praises mends surprises doubts teaches resembles`)
	textAdverbs = strings.Fields("slowly never often gladly again rarely always almost scarcely plainly once twice still hardly")
	textLinks   = strings.Fields("of in beyond near under before without beside after against behind")
)

// sentencesPerParagraph are about as many as make a passage of a library.
const sentencesPerParagraph = 8

// appendText writes n bytes of sentences behind dst. gap stands between paragraphs and counts two bytes, however it is
// written: in JSON a newline has two.
func appendText(dst []byte, n int, seed uint64, gap string) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	written := 0
	for sentence := 1; written < n; sentence++ {
		begin := len(dst)
		dst = appendSentence(dst, rng)
		written += len(dst) - begin
		if written+2 >= n { // the last sentence ends where the text does
			dst = dst[:len(dst)-max(0, written-n)]
			for ; written < n; written++ {
				dst = append(dst, '.')
			}
			return dst
		}
		if sentence%sentencesPerParagraph == 0 {
			dst, written = append(dst, gap...), written+2
		} else {
			dst, written = append(dst, ' '), written+1
		}
	}
	return dst
}

// appendSentence writes one sentence of some 60 bytes.
func appendSentence(dst []byte, rng *rand.Rand) []byte {
	begin := len(dst)
	word := func(words []string) {
		if len(dst) > begin {
			dst = append(dst, ' ')
		}
		dst = append(dst, words[rng.IntN(len(words))]...)
	}
	word(textDeterminers)
	word(textAdjectives)
	word(textNouns)
	if rng.IntN(2) == 0 {
		word(textLinks)
		word(textDeterminers)
		word(textNouns)
	}
	word(textAdverbs)
	word(textVerbs)
	word(textDeterminers)
	word(textAdjectives)
	word(textNouns)
	dst[begin] -= 'a' - 'A'
	return append(dst, '.')
}

// text writes the text of one {{text|…}} for u behind dst. It is another one each time, and the same in a run of the same
// seed.
func (p part) text(dst []byte, u *user) []byte {
	seed := u.rng.Uint64()
	switch p.escape {
	case escapeNone:
		return appendText(dst, p.index, seed, "\n\n")
	case escapeJSON:
		return appendText(dst, p.index, seed, `\n\n`)
	case escapePath, escapeQuery, escapeHeader:
	}
	return p.escape.append(dst, string(appendText(nil, p.index, seed, "  ")))
}

// texts is how many bytes of generated sentences the template has.
func (t template) texts() int {
	n := 0
	for _, p := range t.parts {
		if p.kind == refText {
			n += p.index
		}
	}
	return n
}

// room is how many bytes the template needs at least, so that a large body is made without moving it.
func (t template) room() int {
	n := t.texts()
	n += n / 64 // newlines in JSON
	for _, p := range t.parts {
		n += len(p.literal)
	}
	return n
}

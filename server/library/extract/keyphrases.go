package extract

import (
	"cmp"
	"slices"
	"strings"
)

// Keyphrase is a name for something a book is about. Name is the spelling it has most often there. Score is relative to
// the book's first keyphrase, which has 1. Passages are the indexes of the passages it occurs in, ascending, in any
// spelling, word order or number: "Light reflected" counts for "reflected Light".
type Keyphrase struct {
	Name     string
	Score    float64
	Passages []int
}

const (
	phraseWords   = 4       // most words of a phrase, joining words not counted
	maxCandidates = 400_000 // candidates counted at a time; the rarest are forgotten beyond it
	maxPhrases    = 2_000   // most keyphrases returned
	maxForms      = 32      // spellings counted of each
)

// Keyphrases returns at most max keyphrases (0 or less means 100, and never more than 2,000), best first.
//
// The method is RAKE (Rose, Engel, Cramer and Cowley, "Automatic keyword extraction from individual documents", in Text
// Mining: Applications and Theory, 2010), with each passage as one document: candidates are the runs of words between
// stop words and punctuation, a word scores deg(w)/freq(w), a candidate the sum of its words, and a third of the
// passage's content words may be kept. Over the book they are ranked by the paper's essentiality, which is
// extracted²/referenced document frequency (its section 1.5): what many passages turn on, not what is long and
// rare, which plain RAKE over a whole book prefers. Runs joined by "of" are candidates too when they are found three times (section 1.2.3: "angle of
// incidence"). The stop words are ours for English and Turkish, and derived from the book in other languages, by document
// frequency as in the paper's section 1.4.
//
// On Newton's Opticks this names "refrangible Rays", "thin Plates", "easy Transmission", "homogeneal Light". YAKE!
// (Campos et al. 2020), tried on the same passages, gave "Rays in Lines", "Glass into Air", "Light and
// Shadow" among its first fifty, since it lets stop words stand inside a phrase, and five spellings of reflected light.
//
// Candidates are words of letters: no numbers, no Roman numerals, no single or paired letters, no labels of figures such
// as ABC. Time is linear in the text, and memory is bounded by 400,000 candidates and a million different words, whatever
// the book; beyond the first the rarest candidates are dropped (Manku and Motwani, "Approximate frequency counts over
// data streams", 2002), beyond the second words that turn up late are not looked at.
func Keyphrases(ps []Passage, max int) []Keyphrase {
	if max <= 0 {
		max = 100
	}
	max = min(max, maxPhrases)
	l := newLexicon(ps)
	r := newRake(l)
	for _, p := range ps {
		r.passage(p.Content)
	}
	return locate(l, ps, r.best(max, len(ps)))
}

// A phrase is the sorted classes of its words, so that word order and joining words make no difference.
type phrase [phraseWords]uint32

func newPhrase(classes []uint32) phrase {
	var p phrase
	copy(p[:], classes)
	slices.Sort(p[:len(classes)])
	return p
}

// A candidate is what is counted of a phrase.
type candidate struct {
	extracted  int // passages it is among the best of
	referenced int // passages it is a candidate in
	score      float64
	first      int // order of first appearance
	missed     int // passages it may have been in before, and been forgotten
	joined     int // times it was found as two runs joined, "angle of incidence"
	plain      int // times it was found as one run
}

// rake counts candidates passage by passage. The scratch fields are for the passage at hand.
type rake struct {
	*lexicon
	candidates map[phrase]*candidate
	most       int // candidates kept at a time
	seen       int
	dropped    int // times room was made; what was referenced no oftener since it came was forgotten

	runs   [][]uint32 // candidates as runs of classes
	joins  []bool     // run i is joined to run i-1 by a joining word
	degree map[uint32]int
	freq   map[uint32]int
	found  map[phrase]float64
	order  []phrase
	arena  []uint32
}

func newRake(l *lexicon) *rake {
	return &rake{
		lexicon:    l,
		candidates: make(map[phrase]*candidate),
		most:       maxCandidates,
		degree:     make(map[uint32]int),
		freq:       make(map[uint32]int),
		found:      make(map[phrase]float64),
	}
}

func (r *rake) passage(content string) {
	r.collect(content)
	clear(r.degree)
	clear(r.freq)
	clear(r.found)
	r.order = r.order[:0]
	for _, run := range r.runs {
		for _, c := range run {
			r.degree[c] += len(run)
			r.freq[c]++
		}
	}
	for i, run := range r.runs {
		r.add(run, false)
		if r.joins[i] && len(r.runs[i-1])+len(run) <= phraseWords {
			var both [2 * phraseWords]uint32
			n := copy(both[:], r.runs[i-1])
			n += copy(both[n:], run)
			r.add(both[:n], true)
		}
	}
	r.count()
}

// add scores one candidate of the passage.
func (r *rake) add(run []uint32, joined bool) {
	p := newPhrase(run)
	c := r.candidates[p]
	if c == nil {
		r.seen++
		c = &candidate{first: r.seen, missed: r.dropped}
		r.candidates[p] = c
	}
	if joined {
		c.joined++
	} else {
		c.plain++
	}
	if _, ok := r.found[p]; !ok {
		score := 0.0
		for _, class := range run {
			score += float64(r.degree[class]) / float64(r.freq[class])
		}
		r.found[p] = score
		r.order = append(r.order, p)
	}
}

// count keeps the best third, and makes room when there are too many candidates.
func (r *rake) count() {
	slices.SortStableFunc(r.order, func(a, b phrase) int { return cmp.Compare(r.found[b], r.found[a]) })
	keep := max(1, len(r.freq)/3)
	kept := 0
	for _, p := range r.order {
		c := r.candidates[p]
		c.referenced++
		if c.plain == 0 && c.joined < 3 {
			continue // two runs that met once or twice are no phrase yet
		}
		if kept < keep {
			kept++
			c.extracted++
			c.score += r.found[p]
		}
	}
	for len(r.candidates) > r.most {
		r.dropped++
		for p, c := range r.candidates {
			if c.referenced+c.missed <= r.dropped {
				delete(r.candidates, p)
			}
		}
	}
}

// collect cuts a passage into runs of content words.
func (r *rake) collect(content string) {
	r.runs, r.joins, r.arena = r.runs[:0], r.joins[:0], r.arena[:0]
	start := 0
	joining, linked := false, false
	end := func() {
		if n := len(r.arena) - start; n > 0 && n <= phraseWords {
			r.runs = append(r.runs, r.arena[start:len(r.arena):len(r.arena)])
			r.joins = append(r.joins, linked && len(r.runs) > 1)
			linked = true
		} else if n > phraseWords {
			linked = false
		}
		start = len(r.arena)
	}
	r.eachWord(content, func(t token) {
		switch {
		case t.class == breakClass:
			end()
			joining, linked = false, false
		case t.class == joinClass:
			end()
			joining = true
		case t.class == stopClass:
			end()
			if !joining || !t.article {
				linked = false
			}
		default:
			if start == len(r.arena) {
				linked = linked && joining
				joining = false
			}
			r.arena = append(r.arena, t.class)
		}
	})
	end()
}

// best ranks the candidates. In a book of more than a dozen passages, what occurs in one of them only is no theme of it.
func (r *rake) best(max, passages int) []ranked {
	var out []ranked
	for p, c := range r.candidates {
		if c.extracted == 0 || passages > 12 && c.referenced < 2 {
			continue
		}
		e := float64(c.extracted)
		out = append(out, ranked{p, e * e / float64(c.referenced), c.score, c.first})
	}
	slices.SortFunc(out, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.essential, a.essential), cmp.Compare(b.score, a.score), cmp.Compare(a.first, b.first))
	})
	return out[:min(len(out), max)]
}

type ranked struct {
	phrase    phrase
	essential float64
	score     float64
	first     int
}

// locate finds the passages and the commonest spelling of every phrase, in one more pass over the text.
func locate(l *lexicon, ps []Passage, best []ranked) []Keyphrase {
	f := &finder{lexicon: l, index: make(map[phrase]int, len(best)), used: make(map[uint32]bool)}
	f.out = make([]Keyphrase, len(best))
	f.forms = make([]map[string]int, len(best))
	for i, b := range best {
		f.index[b.phrase] = i
		f.out[i].Score = b.essential / best[0].essential
		f.forms[i] = make(map[string]int)
		for _, class := range b.phrase {
			f.used[class] = true
		}
	}
	for i, p := range ps {
		f.passage(i, p.Content)
	}
	for i, forms := range f.forms {
		for form, n := range forms {
			if name := f.out[i].Name; n > forms[name] || n == forms[name] && (len(form) < len(name) || len(form) == len(name) && form > name) {
				f.out[i].Name = form
			}
		}
	}
	return slices.DeleteFunc(f.out, func(k Keyphrase) bool { return k.Name == "" })
}

// A finder looks for known phrases in the windows of up to four content words.
type finder struct {
	*lexicon
	index map[phrase]int
	used  map[uint32]bool
	out   []Keyphrase
	forms []map[string]int
	chain []token // content words that follow one another, joining words between them passed over
}

func (f *finder) passage(n int, content string) {
	f.chain = f.chain[:0]
	joined := false
	f.eachWord(content, func(t token) {
		switch {
		case t.class == joinClass:
			joined = len(f.chain) > 0
		case t.class == stopClass && joined && t.article:
		case t.class < firstClass || !f.used[t.class]:
			f.chain = f.chain[:0]
			joined = false
		default:
			if len(f.chain) == phraseWords {
				copy(f.chain, f.chain[1:])
				f.chain = f.chain[:phraseWords-1]
			}
			f.chain = append(f.chain, t)
			f.windows(n, content)
			joined = false
		}
	})
}

// windows looks up every window that ends with the last word of the chain.
func (f *finder) windows(n int, content string) {
	var classes [phraseWords]uint32
	last := f.chain[len(f.chain)-1]
	for size := 1; size <= len(f.chain); size++ {
		first := f.chain[len(f.chain)-size]
		classes[size-1] = first.class
		i, ok := f.index[newPhrase(classes[:size])]
		if !ok {
			continue
		}
		k := &f.out[i]
		if len(k.Passages) == 0 || k.Passages[len(k.Passages)-1] != n {
			k.Passages = append(k.Passages, n)
		}
		form := content[first.start:last.end]
		if count, ok := f.forms[i][form]; ok || len(f.forms[i]) < maxForms {
			f.forms[i][strings.Clone(form)] = count + 1
		}
	}
}

package demo

import "strings"

// Queries returns a query log of n entries over the books of the same seed: of
// the distinct queries about 40 % are one word, 30 % two, 20 % three and 10 % a
// quoted phrase that stands in one of the first books. Users repeat themselves
// and each other, so entries are drawn from n/4 distinct queries (at least 40)
// by Zipf's law; a cache sees the repetition it would see in service.
func Queries(seed uint64, n int) []string {
	if n < 1 {
		return nil
	}
	src := newSource(seed, 0)
	distinct := distinctQueries(seed, src, max(n/4, 40))
	popularity := newZipf(len(distinct))
	log := make([]string, n)
	for i := range log {
		log[i] = distinct[popularity.rank(src)]
	}
	return log
}

// planQueries are the searches that people are told to try first.
var planQueries = []string{"dasein", "test", "What is X?", "consciousness", "düşünce", "time", "being", "memory", "bilinç"}

func distinctQueries(seed uint64, src *source, n int) []string {
	sentences := sampleSentences(seed)
	seen := make(map[string]bool, n)
	all := make([]string, 0, n)
	add := func(query string) {
		if !seen[query] {
			seen[query] = true
			all = append(all, query)
		}
	}
	for _, query := range planQueries {
		if len(all) < n {
			add(query)
		}
	}
	// Small vocabularies run out of new words; the bound on attempts keeps the
	// log at a few queries less instead of searching for ever.
	for attempts := 0; len(all) < n && attempts < 50*n; attempts++ {
		sentence := sentences[src.intn(len(sentences))]
		switch kind := src.intn(100); {
		case kind < 40:
			add(contentWord(src, sentence))
		case kind < 70:
			add(joinDistinct(src, sentence, 2))
		case kind < 90:
			add(joinDistinct(src, sentence, 3))
		default:
			length := src.between(2, 3)
			at := src.intn(len(sentence) - length + 1)
			add(`"` + strings.Join(sentence[at:at+length], " ") + `"`)
		}
	}
	return all
}

// sampleSentences are the sentences of at least six plain words in the opening
// of the first books; by Books' promise they stand in every library of the seed.
func sampleSentences(seed uint64) [][]string {
	var all [][]string
	for i := range 2 * len(speakers()) {
		for line := range strings.SplitSeq(book(seed, i, 2*wordsPerPassage).Text, "\n") {
			if strings.HasPrefix(line, "CHAPTER ") {
				continue
			}
			for _, sentence := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(".?!,;:", r) }) {
				if f := strings.Fields(sentence); len(f) >= 6 {
					all = append(all, f)
				}
			}
		}
	}
	return all
}

// contentWord draws a word that is not grammar; every sentence has one.
func contentWord(src *source, sentence []string) string {
	for range 20 {
		if word := sentence[src.intn(len(sentence))]; len(word) > 3 && !grammarWords[word] {
			return word
		}
	}
	return sentence[len(sentence)-1]
}

// joinDistinct draws so many words of one sentence: they do occur together, as
// the words of a person who remembers a passage do.
func joinDistinct(src *source, sentence []string, n int) string {
	var picked []string
	for attempts := 0; len(picked) < n && attempts < 10; attempts++ {
		word := contentWord(src, sentence)
		repeated := false
		for _, p := range picked {
			repeated = repeated || p == word
		}
		if !repeated {
			picked = append(picked, word)
		}
	}
	return strings.Join(picked, " ")
}

var grammarWords = func() map[string]bool {
	m := map[string]bool{}
	for _, word := range strings.Fields("what that this with from they must under over into only also more than before until " +
		"there their which whether neither through could were them such nothing without whoever some once here için ile " +
		"daha olarak The They There This What Whoever Some Neither Through Under Nothing Here Perhaps Long Because Let") {
		m[word] = true
	}
	return m
}()

package extract

import "testing"

func BenchmarkRead(b *testing.B) {
	data := opticks(b)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Read(data, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPassages(b *testing.B) {
	t := readOpticks(b)
	b.SetBytes(int64(len(opticks(b))))
	for b.Loop() {
		Passages(t, 120)
	}
}

func BenchmarkKeyphrases(b *testing.B) {
	ps := Passages(readOpticks(b), 120)
	b.SetBytes(int64(len(opticks(b))))
	for b.Loop() {
		Keyphrases(ps, 100)
	}
}

func BenchmarkCoOccurrences(b *testing.B) {
	ps := Passages(readOpticks(b), 120)
	ks := Keyphrases(ps, 100)
	for b.Loop() {
		CoOccurrences(ks, len(ps), 200)
	}
}

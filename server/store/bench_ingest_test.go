package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/words"
)

// BenchmarkIngest stores books of ever new invented text.
func BenchmarkIngest(b *testing.B) {
	for _, size := range []int{50, 1000} {
		b.Run(fmt.Sprintf("passages=%d", size), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "library.db"), store.Options{})
			text := newText(3)
			books := make([]store.NewBook, 10_000/size)
			for i := range books {
				books[i] = text.book("", "", size)
			}
			n := 0
			for b.Loop() {
				book := books[n%len(books)]
				book.Hash = fmt.Sprint(n)
				if _, err := s.Ingest(b.Context(), book); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(n*size)/b.Elapsed().Seconds(), "passages/s")
			if testing.Verbose() {
				for _, st := range s.Statements() {
					if st.Elapsed > b.Elapsed()/100 {
						b.Logf("%-16s %5.1f %%", st.Name, 100*float64(st.Elapsed)/float64(b.Elapsed()))
					}
				}
			}
		})
	}
}

// BenchmarkIngestRaw puts the same texts into the same two tables, passages and
// index, on a connection of database/sql: no folding, metadata, concepts or
// owners. What BenchmarkIngest takes longer is ours.
func BenchmarkIngestRaw(b *testing.B) {
	const size = 1000
	path := filepath.Join(b.TempDir(), "library.db")
	open(b, path, store.Options{})
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	text := newText(3)
	books := make([]store.NewBook, 10_000/size)
	for i := range books {
		books[i] = text.book("", "", size)
	}
	n := 0
	for b.Loop() {
		if err := rawIngest(db, books[n%len(books)], n*size+1); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n*size)/b.Elapsed().Seconds(), "passages/s")
}

func rawIngest(db *sql.DB, book store.NewBook, first int) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	content, err := tx.Prepare("INSERT INTO TOMEHUB_CONTENT (id, book_id, seq, page_number, title, source_type, chapter, content) VALUES (?1, 1, ?2, 1, 'title', 'text', '', ?3)")
	if err != nil {
		return err
	}
	for i, p := range book.Passages {
		if _, err := content.Exec(first+i, i, p.Content); err != nil {
			return err
		}
	}
	words, err := tx.Prepare("INSERT INTO TOMEHUB_CONTENT_FTS (rowid, content) VALUES (?1, ?2)")
	if err != nil {
		return err
	}
	for i, p := range book.Passages {
		if _, err := words.Exec(first+i, p.Content); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func BenchmarkIndexText(b *testing.B) {
	for name, passage := range map[string]string{
		"ascii": newText(1).passage(), "turkish": strings.Repeat("Düşünce özgürlüğü, bilinç ve zaman; varlık ışığı. ", 14), "chinese": strings.Repeat("電車で東京へ行く。", 40),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(passage)))
			for b.Loop() {
				words.IndexText(passage)
			}
		})
	}
}

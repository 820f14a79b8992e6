package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
)

// The tests of this file run their own binary again as another process, which
// does what childEnv says to the library file of childLibraryEnv.
const (
	childEnv        = "TOMEHUB_STORE_TEST_CHILD"
	childLibraryEnv = "TOMEHUB_STORE_TEST_LIBRARY"
)

// runChild is the other process. It ends by being killed, or when its work is done.
func runChild(mode, path string) int {
	ctx := context.Background()
	pools, err := pool.OpenSQLite(ctx, pool.Config{
		Path: path, Timeout: 30 * time.Second, Read: pool.Bounds{Min: 1, Size: 4}, Write: pool.Bounds{Min: 1, Size: writers},
	})
	if err == nil {
		defer pools.Close()
		switch mode {
		case "open":
			_, err = store.OpenSQLite(ctx, pools, store.Options{})
		case "migrate":
			fmt.Println("begin")
			_, err = store.OpenWithMigrations(ctx, pools, slowMigrations())
		case "ingest":
			err = ingestForEver(ctx, pools)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("done")
	return 0
}

// writers is how many store books at once, in transactions that they share.
const writers = 4

// ingestForEver has writers store books, and delete every fourth again; each line that they
// write acknowledges one of them.
func ingestForEver(ctx context.Context, pools *pool.Pools) error {
	s, err := store.OpenSQLite(ctx, pools, store.Options{})
	if err != nil {
		return err
	}
	ends := make(chan error)
	for w := range writers {
		go func() { ends <- ingestAlone(ctx, s, w) }()
	}
	return <-ends
}

func ingestAlone(ctx context.Context, s *store.SQLite, writer int) error {
	text := newText(uint64(os.Getpid()*writers + writer))
	for i := 0; ; i++ {
		name := fmt.Sprintf("p%dw%dn%d", os.Getpid(), writer, i)
		book := text.book([]string{"", "ada"}[i%2], name, 20+text.rng.IntN(150))
		for j := range book.Passages {
			book.Passages[j].Content += " " + name // found by its name, all of it
		}
		in, err := s.Ingest(ctx, book)
		if err != nil {
			return err
		}
		fmt.Printf("stored %s %d\n", name, len(book.Passages))
		if i%4 == 3 {
			if err := s.DeleteBook(ctx, book.Owner, in.BookID); err != nil {
				return err
			}
			fmt.Printf("deleted %s 0\n", name)
		}
	}
}

// child starts this binary as another process.
func child(t *testing.T, mode, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childEnv+"="+mode, childLibraryEnv+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestKilledIngest kills a process that stores books, again and again, at any
// moment. What it acknowledged must be there, whole, and nothing by halves.
func TestKilledIngest(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	path := filepath.Join(t.TempDir(), "library.db")
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	acknowledged := map[string]int{} // passages by book; 0: deleted
	for range rounds {
		cmd := child(t, "ingest", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 2 + rng.IntN(12*writers); n > 0 && lines.Scan(); n-- {
			acknowledge(t, acknowledged, lines.Text())
		}
		// The child is in its next books by now; a part of the time that those take later it dies.
		kill := time.AfterFunc(time.Duration(rng.IntN(15_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		for lines.Scan() {
			acknowledge(t, acknowledged, lines.Text())
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v", err)
		}
		kill.Stop()
		checkWhole(t, path)
	}
	if len(acknowledged) < rounds {
		t.Fatalf("only %d books acknowledged", len(acknowledged))
	}
	checkAcknowledged(t, path, acknowledged, rounds)
}

func acknowledge(t *testing.T, acknowledged map[string]int, line string) {
	t.Helper()
	var what, name string
	var passages int
	if _, err := fmt.Sscan(line, &what, &name, &passages); err != nil {
		t.Fatalf("line %q: %v", line, err)
	}
	acknowledged[name] = passages
}

// checkAcknowledged holds that every acknowledged book is there and found, and
// every acknowledged deletion done, by a store of this process.
func checkAcknowledged(t *testing.T, path string, acknowledged map[string]int, rounds int) {
	t.Helper()
	s := open(t, path, store.Options{})
	scope := store.Scope{Owner: "ada"}
	books, total, err := s.Books(t.Context(), scope, store.Page{Number: 1, Size: 1000})
	if err != nil || total != len(books) {
		t.Fatalf("%d of %d books: %v", len(books), total, err)
	}
	stored := map[string]int{}
	for _, b := range books {
		stored[b.Hash] = b.Passages
	}
	unknown := 0
	for name := range stored {
		if _, ok := acknowledged[name]; !ok {
			unknown++ // committed, and killed before it could say so
		}
	}
	lost := 0
	for name, want := range acknowledged {
		q, err := store.ParseQuery(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Count(t.Context(), scope, q)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case want == 0 && (stored[name] != 0 || got != 0):
			t.Errorf("book %s was deleted and has %d passages, %d found", name, stored[name], got)
		case want != 0 && stored[name] == 0 && got == 0:
			lost++ // a deletion that was committed and not acknowledged
		case stored[name] != want || got != want:
			t.Errorf("book %s has %d passages, %d found, want %d", name, stored[name], got, want)
		}
	}
	if unknown+lost > rounds*writers {
		t.Errorf("%d books not acknowledged and %d gone, in %d rounds: at most one change of each writer is open", unknown, lost, rounds)
	}
	t.Logf("%d changes acknowledged, %d books stored and %d deleted without", len(acknowledged), unknown, lost)
}

// checkWhole looks at the tables themselves, by another connection than the store's.
func checkWhole(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for what, query := range map[string]string{
		"integrity": "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
		"books without all their passages": `SELECT count(*) FROM TOMEHUB_BOOKS AS b WHERE passages <>
			(SELECT count(*) FROM TOMEHUB_CONTENT AS c WHERE c.book_id = b.id AND c.id BETWEEN b.first_passage AND b.first_passage + b.passages - 1)`,
		"passages without their book":      "SELECT count(*) FROM TOMEHUB_CONTENT WHERE book_id NOT IN (SELECT id FROM TOMEHUB_BOOKS)",
		"passages without metadata":        "SELECT count(*) FROM TOMEHUB_CONTENT WHERE id NOT IN (SELECT content_id FROM TOMEHUB_METADATA)",
		"metadata without passage":         "SELECT count(*) FROM TOMEHUB_METADATA WHERE content_id NOT IN (SELECT id FROM TOMEHUB_CONTENT)",
		"passages not in the index":        "SELECT count(*) FROM TOMEHUB_CONTENT WHERE id NOT IN (SELECT id FROM TOMEHUB_CONTENT_FTS_docsize)",
		"index entries without passage":    "SELECT count(*) FROM TOMEHUB_CONTENT_FTS_docsize WHERE id NOT IN (SELECT id FROM TOMEHUB_CONTENT)",
		"links without passage or concept": "SELECT count(*) FROM TOMEHUB_CONCEPT_CHUNKS WHERE content_id NOT IN (SELECT id FROM TOMEHUB_CONTENT) OR concept_id NOT IN (SELECT id FROM TOMEHUB_CONCEPTS)",
		"concepts without link":            "SELECT count(*) FROM TOMEHUB_CONCEPTS WHERE id NOT IN (SELECT concept_id FROM TOMEHUB_CONCEPT_CHUNKS)",
		"relations without their ends": `SELECT count(*) FROM TOMEHUB_RELATIONS WHERE book_id NOT IN (SELECT id FROM TOMEHUB_BOOKS)
			OR source_id NOT IN (SELECT id FROM TOMEHUB_CONCEPTS) OR target_id NOT IN (SELECT id FROM TOMEHUB_CONCEPTS)`,
		"ids beyond the owner's count": `SELECT count(*) FROM TOMEHUB_OWNERS AS o WHERE last_passage < (SELECT max(id) FROM TOMEHUB_CONTENT WHERE owner_id = o.id)
			OR last_book < (SELECT max(id) FROM TOMEHUB_BOOKS WHERE owner_id = o.id) OR last_concept < (SELECT max(id) FROM TOMEHUB_CONCEPTS WHERE owner_id = o.id)`,
	} {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
	if _, err := db.Exec("INSERT INTO TOMEHUB_CONTENT_FTS (TOMEHUB_CONTENT_FTS) VALUES ('integrity-check')"); err != nil {
		t.Errorf("integrity of the full-text index: %v", err)
	}
}

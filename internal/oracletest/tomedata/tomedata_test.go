package tomedata

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// The product's own files: its migrations and its statements.
const (
	migrationFiles = "../../../server/store/migrations/oracle/*.sql"
	statementFiles = "../../../server/store/sql/oracle/*.sql"
)

// A client is one session of the tests.
type client struct {
	t    testing.TB
	data *Data
	s    *oracletest.Session
}

func (d *Data) client(t testing.TB) *client {
	return &client{t, d, &oracletest.Session{User: "TOMEHUB"}}
}

// run sends a statement with named binds, in pairs.
func (c *client) run(ctx context.Context, sql string, binds ...any) (*oracletest.Result, error) {
	call := &oracletest.Call{Session: c.s, SQL: sql, Rows: [][]oracletest.Value{nil}}
	if name, ok := strings.CutPrefix(sql, "/* tomehub:"); ok {
		call.Tag, _, _ = strings.Cut(name, " ")
	}
	for i := 0; i+1 < len(binds); i += 2 {
		call.Names = append(call.Names, strings.ToUpper(binds[i].(string)))
		v := binds[i+1]
		if n, ok := v.(int); ok {
			v = int64(n)
		}
		call.Rows[0] = append(call.Rows[0], v)
	}
	return c.data.Serve(ctx, call)
}

// must runs a statement that succeeds and returns its rows.
func (c *client) must(sql string, binds ...any) [][]oracletest.Value {
	c.t.Helper()
	res, err := c.run(c.t.Context(), sql, binds...)
	if err != nil {
		c.t.Fatalf("%.60s: %v", sql, err)
	}
	rows, err := res.All()
	if err != nil {
		c.t.Fatalf("%.60s: %v", sql, err)
	}
	return rows
}

// fails runs a statement that must fail with a code.
func (c *client) fails(code int, sql string, binds ...any) {
	c.t.Helper()
	_, err := c.run(c.t.Context(), sql, binds...)
	wantCode(c.t, err, code)
}

func wantCode(t testing.TB, err error, code int) {
	t.Helper()
	var e *oracletest.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error %v, want ORA-%05d", err, code)
	}
}

func (c *client) commit() {
	c.t.Helper()
	if err := c.data.Commit(c.s); err != nil {
		c.t.Fatal(err)
	}
}

// file returns a statement of the product by its name.
func file(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(statementFiles), name+".sql"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// migrated returns a database with the product's schema.
func migrated(t testing.TB, options ...Option) *Data {
	t.Helper()
	d := New(options...)
	c := d.client(t)
	for _, step := range migrationSteps(t) {
		c.must(step)
	}
	c.commit()
	return d
}

func migrationSteps(t testing.TB) (steps []string) {
	t.Helper()
	files, err := filepath.Glob(migrationFiles)
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for step := range strings.SplitSeq(string(text), "\n/\n") {
			if step = strings.TrimSpace(step); step != "" {
				steps = append(steps, step)
			}
		}
	}
	return steps
}

// Every statement of the product is known: by its tag, or by its text.
func TestEveryStatementIsKnown(t *testing.T) {
	files, err := filepath.Glob(statementFiles)
	if err != nil || len(files) == 0 {
		t.Fatalf("no statements: %v", err)
	}
	known := map[string]bool{"migration_step": true}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".sql")
		p, err := New().parse(file(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, ok := statements[name]; !ok && p.ddl == nil && p.insert == nil && !known[name] {
			t.Errorf("%s.sql: the model does not know this statement", name)
		}
		known[name] = true
	}
	for name := range statements {
		if !known[name] {
			t.Errorf("the model knows %s, which the product does not have", name)
		}
	}
}

func TestMigration(t *testing.T) {
	d := migrated(t)
	c := d.client(t)
	c.fails(955, "CREATE TABLE TOMEHUB_BOOKS (id NUMBER(19))")
	if rows := c.must(file(t, "text_index")); len(rows) != 1 {
		t.Errorf("text index: %v", rows)
	}
	c.must(file(t, "text_index_drop"))
	c.fails(1418, file(t, "text_index_drop"))
	c.fails(20000, file(t, "count"), "query", "{a}", "lo", 1, "hi", 0) // no index: nothing to search by
	c.fails(942, file(t, "migrations"))
	c.must(file(t, "migrations_create"))
	c.must(file(t, "migrations"))
	if odd := d.Odd(); len(odd) > 0 {
		t.Error(odd)
	}
	without := New(WithoutText()).client(t)
	steps := migrationSteps(t)
	for _, step := range steps[:len(steps)-1] {
		without.must(step)
	}
	without.fails(29833, steps[len(steps)-1])
}

// What the model does not know is refused and counted.
func TestOdd(t *testing.T) {
	d := migrated(t)
	c := d.client(t)
	c.fails(900, "/* tomehub:nothing */ SELECT 1 FROM DUAL")
	c.fails(900, file(t, "count"), "query", "{a}", "lo", 1)
	c.fails(900, strings.Replace(file(t, "owners"), "o.owner,", "o.owner, o.id AS more,", 1), "seen", -1)
	c.fails(900, strings.Replace(file(t, "owners"), "o.generation\n", "o.generation AS other\n", 1), "seen", -1)
	if odd := d.Odd(); len(odd) != 4 {
		t.Errorf("%d kinds of odd statements: %v", len(odd), odd)
	}
}

func addBook(t testing.TB, c *client, id int, hash string) error {
	_, err := c.run(t.Context(), file(t, "book_add"), "id", id, "title", "A title", "author", "", "source_type", "text", "hash", hash,
		"first_passage", id, "passages", 1, "words", 3, "created_at_ms", 1)
	return err
}

func addPassage(t testing.TB, c *client, id int, words string) {
	t.Helper()
	c.must(file(t, "content_add"), "id", id, "book", 1, "seq", 0, "page_number", 0, "title", "A title", "source_type", "text",
		"chapter", "", "content", "The "+words, "words", words)
}

func TestConstraints(t *testing.T) {
	c := migrated(t).client(t)
	if err := addBook(t, c, 1, "h"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, addBook(t, c, 1, "other"), 1) // the primary key
	wantCode(t, addBook(t, c, 2, "h"), 1)     // the same hash of the same owner
	wantCode(t, addBook(t, c, 2, ""), 1400)   // an empty text is NULL
	wantCode(t, addBook(t, c, 2, strings.Repeat("x", 1001)), 12899)
	if err := addBook(t, c, 3, strings.Repeat("車", 1000)); err != nil {
		t.Errorf("1000 characters in VARCHAR2(1000 CHAR): %v", err)
	}
	if err := addBook(t, c, 1<<32+1, "h"); err != nil { // another owner's
		t.Errorf("the same hash of another owner: %v", err)
	}
	rows := c.must(file(t, "book"), "id", 1, "lo", 1, "hi", 0)
	want := [][]oracletest.Value{{int64(1), "A title", nil, "text", "h", int64(1), int64(3), int64(1)}}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	c.fails(1438, "INSERT INTO TOMEHUB_COUNTERS (owner_id, last_book, last_passage, last_concept) VALUES (10000000000, 1, 1, 1)")
	c.fails(904, "INSERT INTO TOMEHUB_COUNTERS (owner) VALUES (1)")
	c.fails(942, "INSERT INTO NOWHERE (owner) VALUES (1)")
	c.must("CREATE TABLE LONG_TEXTS (v VARCHAR2(2000 CHAR))")
	c.fails(12899, "INSERT INTO LONG_TEXTS (v) VALUES (:v)", "v", strings.Repeat("車", 1400)) // 4200 bytes
	c.must("CREATE TABLE BYTES (v VARCHAR2(3))")
	c.must("INSERT INTO BYTES (v) VALUES (:v)", "v", "abc")
	c.fails(12899, "INSERT INTO BYTES (v) VALUES (:v)", "v", "äb\u00e4") // five bytes
	c.fails(1722, "INSERT INTO TOMEHUB_METADATA (content_id, metadata) VALUES (:id, '{}')", "id", "one")
}

func TestTransactions(t *testing.T) {
	d := migrated(t)
	a, b := d.client(t), d.client(t)
	found := func(c *client, want int64) {
		t.Helper()
		if got := c.must(file(t, "count"), "query", "{being} & {time}", "lo", 1, "hi", 0)[0][0]; got != want {
			t.Errorf("found %v passages, want %d", got, want)
		}
	}
	seen := func(c *client, want int) {
		t.Helper()
		if got := c.must(file(t, "passages"), "ids", "[1,2]", "lo", 1, "hi", 0); len(got) != want {
			t.Errorf("%d passages, want %d", len(got), want)
		}
	}
	addPassage(t, a, 1, "being and time")
	seen(a, 1)
	found(a, 0) // SYNC (ON COMMIT)
	seen(b, 0)
	d.Rollback(a.s)
	seen(a, 0)
	addPassage(t, a, 1, "being and time")
	a.commit()
	seen(b, 1)
	found(b, 1)
	b.must(file(t, "content_delete"), "first", 1, "last", 9)
	found(b, 0)
	seen(b, 0)
	found(a, 1)
	d.Rollback(b.s)
	found(b, 1)
	b.must(file(t, "content_delete"), "first", 1, "last", 9)
	b.commit()
	found(a, 0)
	addPassage(t, a, 2, "time of being")
	a.must("CREATE TABLE MORE (id NUMBER)") // DDL commits
	d.Rollback(a.s)
	found(b, 1)
	if n, locks := d.Open(); n+locks > 0 {
		t.Errorf("%d transactions, %d locks", n, locks)
	}
}

// A row locked by one session is waited for by the next: until the commit, the rollback, or the waiter's end.
func TestLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := migrated(t)
		a, b := d.client(t), d.client(t)
		lock, advance := file(t, "library_lock"), file(t, "library_advance")
		done := make(chan error, 1)
		later := func(c *client, sql string, binds ...any) {
			go func() {
				_, err := c.run(t.Context(), sql, binds...)
				done <- err
			}()
			synctest.Wait()
		}
		ended := func(yes bool) error {
			t.Helper()
			synctest.Wait()
			select {
			case err := <-done:
				if !yes {
					t.Errorf("did not wait: %v", err)
				}
				return err
			default:
				if yes {
					t.Error("still waits")
				}
				return nil
			}
		}
		a.must(lock)
		a.must(advance, "generation", 7)
		later(b, lock)
		_ = ended(false)
		a.commit()
		if err := ended(true); err != nil {
			t.Error(err)
		}
		if got := b.must(lock)[0][0]; got != int64(7) {
			t.Errorf("generation %v after the wait, want that of the commit", got)
		}
		a.fails(54, strings.Replace(lock, "WAIT 60", "NOWAIT", 1))
		a.fails(30006, lock) // after its 60 s, of which none pass here
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			_, err := a.run(ctx, advance, "generation", 9)
			done <- err
		}()
		_ = ended(false)
		leave()
		if err := ended(true); !errors.Is(err, context.Canceled) {
			t.Errorf("a waiter who left got %v", err)
		}
		d.Rollback(b.s)
		a.must(lock)
		d.Rollback(a.s)
	})
}

// A unique key that another session has taken and not committed is waited for; two that wait for each other are a deadlock.
func TestKeysAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := migrated(t)
		a, b := d.client(t), d.client(t)
		done := make(chan error, 1)
		add := func(c *client, id int, hash string) {
			go func() { done <- addBook(t, c, id, hash) }()
			synctest.Wait()
		}
		if err := addBook(t, a, 1, "h"); err != nil {
			t.Fatal(err)
		}
		add(b, 2, "h")
		a.commit()
		wantCode(t, <-done, 1)
		d.Rollback(b.s)
		if err := addBook(t, a, 3, "i"); err != nil {
			t.Fatal(err)
		}
		add(b, 4, "i")
		d.Rollback(a.s)
		if err := <-done; err != nil {
			t.Errorf("the key was free again: %v", err)
		}
		if err := addBook(t, a, 5, "j"); err != nil {
			t.Fatal(err)
		}
		add(b, 6, "j")
		wantCode(t, addBook(t, a, 4, "k"), 60)
		d.Rollback(a.s)
		if err := <-done; err != nil {
			t.Error(err)
		}
		b.must(file(t, "book_delete"), "book", 6) // frees its keys at the commit
		add(a, 6, "l")
		b.commit()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

package oracletest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The other thin drivers are witnesses: the double is not made after go-ora alone. Each does the
// same with its own code, and what the double heard is compared with what was sent.

// nodeModules names the directory node_modules that holds npm's oracledb.
const nodeModules = "TOMEHUB_NODE_MODULES"

func TestWitnessPython(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's: others do not see Debian's packages
	if exec.CommandContext(t.Context(), python, "-c", "import oracledb").Run() != nil {
		t.Skip("NOT RUN: wants python-oracledb: apt-get install python3-oracledb")
	}
	witness(t, python, "testdata/witness.py")
}

func TestWitnessNode(t *testing.T) {
	node, err := exec.LookPath("node")
	if err == nil {
		err = exec.CommandContext(t.Context(), node, "-e", "require('oracledb')").Run()
	}
	if err != nil && os.Getenv(nodeModules) != "" && node != "" {
		t.Setenv("NODE_PATH", os.Getenv(nodeModules))
		err = exec.CommandContext(t.Context(), node, "-e", "require('oracledb')").Run()
	}
	if err != nil {
		t.Skipf("NOT RUN: wants node-oracledb: `npm install --prefix DIR oracledb@6.10.0`, then set %s=DIR/node_modules", nodeModules)
	}
	witness(t, node, "testdata/witness.js")
}

// witness runs a driver's script and holds what the double heard against what the script did.
func witness(t *testing.T, program, script string) {
	h := witnessed()
	s := start(t, Config{Handler: h})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, script, s.Addr(), "FREEPDB1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v after\n%s%s", script, err, out.String(), errs.String())
	}
	const done = "ok login\nok wrong password\nok wrong service\nok binds\nok array binds\nok 10000 rows\nok clobs\n" +
		"ok action\nok commit and rollback\nok cancel\nok error\nok close\n"
	if d := cmp.Diff(done, out.String()); d != "" {
		t.Error(d)
	}
	// What was rolled back stands after the last commit but one.
	var ends []string
	for _, e := range h.heard() {
		word, _, _ := strings.Cut(e, " ")
		ends = append(ends, word)
	}
	if got := strings.Join(ends, " "); !strings.HasPrefix(got, "commit commit rollback") {
		t.Errorf("transactions ended by %s", got)
	}
	if st := s.Stats(); st.Errors[1017] != 1 || st.Errors[12514] != 1 || st.Errors[942] != 1 || st.Errors[1013] != 1 {
		t.Errorf("errors %v", st.Errors)
	}
	for _, c := range h.calls {
		if c.SQL == insertPairs && len(c.Rows) == 500 {
			for i, row := range c.Rows {
				if d := cmp.Diff([]Value{int64(i), fmt.Sprint("t", i)}, row); d != "" {
					t.Fatalf("row %d of the array: %s", i, d)
				}
			}
			return
		}
	}
	t.Error("no array of 500 rows arrived")
}

const insertPairs = "INSERT INTO pairs VALUES (:1, :2)"

// witnessed answers what the scripts ask. What they insert into everything comes back as it arrived.
func witnessed() *script {
	h := &script{}
	n := func(_ context.Context, c *Call) (*Result, error) { return &Result{Affected: int64(len(c.Rows))}, nil }
	h.on(insertPairs, n)
	everything := []Column{
		{Name: "ID", Type: Number}, {Name: "NAME", Size: 100}, {Name: "SHARE", Type: Number}, {Name: "AT", Type: Timestamp},
		{Name: "HASH", Type: Raw, Size: 32}, {Name: "NOTHING", Size: 10, Nullable: true}, {Name: "LONG", Type: Clob},
	}
	h.on("INSERT INTO everything VALUES (:1, :2, :3, :4, :5, :6, :7)", func(ctx context.Context, c *Call) (*Result, error) {
		h.rows("SELECT * FROM everything", everything, c.Rows[0])
		return n(ctx, c)
	})
	var many [][]Value
	for i := range 10000 {
		many = append(many, []Value{int64(i), strings.Repeat("x", i%300+1)})
	}
	h.rows("SELECT id, text FROM many", []Column{{Name: "ID", Type: Number}, {Name: "TEXT", Size: 400}}, many...)
	h.rows("SELECT id, content FROM passages", []Column{{Name: "ID", Type: Number}, {Name: "CONTENT", Type: Clob, Nullable: true}},
		[]Value{int64(1), strings.Repeat("Lies, 漢字 und x. ", 5000)}, []Value{int64(2), nil}, []Value{int64(3), "short"})
	h.on("SELECT forever FROM DUAL", func(ctx context.Context, _ *Call) (*Result, error) {
		<-ctx.Done()
		return nil, &Error{Code: 1013, Message: "user requested cancel of current operation"}
	})
	return h
}

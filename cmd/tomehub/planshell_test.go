package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A planShell is a directory in which commands are typed. Curl's own file of options there
// leads localhost:5001 to the server of the test, so that the commands need no change.
type planShell struct {
	t   *testing.T
	dir string
	to  string // line of .curlrc
}

func newPlanShell(t *testing.T, s *served) *planShell {
	address := strings.TrimPrefix(s.url, "http://")
	return &planShell{t: t, dir: t.TempDir(), to: fmt.Sprintf("connect-to = \"localhost:5001:%s\"", address)}
}

func (sh *planShell) write(name, text string) {
	sh.t.Helper()
	file := filepath.Join(sh.dir, name)
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err != nil {
		sh.t.Fatal(err)
	}
}

// run types commands and returns what they print, once those in the background have ended too.
func (sh *planShell) run(commands string, curlOptions ...string) string {
	sh.t.Helper()
	sh.write(".curlrc", strings.Join(append([]string{"silent", "show-error", "noproxy = \"*\"", sh.to}, curlOptions...), "\n")+"\n")
	ctx, cancel := context.WithTimeout(sh.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", commands)
	cmd.Dir = sh.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + sh.dir, "CURL_HOME=" + sh.dir, "LC_ALL=C"}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		sh.t.Fatalf("%s\n%v: %s\n%s", commands, err, &said, out)
	}
	if said.Len() > 0 { // the time, where the plan takes it
		sh.t.Logf("%s\n%s", strings.TrimSpace(commands), strings.TrimSpace(said.String()))
	}
	return string(out)
}

// planAnswer is one answer that curl printed with its head.
type planAnswer struct {
	*http.Response
	body []byte
}

// answers types commands with curl printing heads too, and reads the answers.
func (sh *planShell) answers(commands string) []planAnswer {
	sh.t.Helper()
	r := bufio.NewReader(strings.NewReader(sh.run(commands, "include")))
	var all []planAnswer
	for {
		if _, err := r.Peek(1); errors.Is(err, io.EOF) {
			break
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			sh.t.Fatalf("answer %d of %s: %v", len(all)+1, commands, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			sh.t.Fatalf("answer %d of %s: %v", len(all)+1, commands, err)
		}
		all = append(all, planAnswer{resp, body})
	}
	if len(all) == 0 {
		sh.t.Fatalf("no answer to %s", commands)
	}
	return all
}

func (a planAnswer) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

// statements is how many statements the server says the answer took.
func (a planAnswer) statements(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(a.Header.Get("X-Tomehub-Statements"))
	if err != nil {
		t.Fatalf("X-Tomehub-Statements: %v", err)
	}
	return n
}

type planPageFields struct {
	Page       int  `json:"page"`
	PageSize   int  `json:"page_size"`
	TotalPages int  `json:"total_pages"`
	HasNext    bool `json:"has_next"`
}

type planSearch struct {
	searchAnswer
	planPageFields
	CacheHit   bool `json:"cache_hit"`
	statements int
}

// search types one search.
func (sh *planShell) search(commands string) planSearch {
	sh.t.Helper()
	a := sh.answers(commands)
	if len(a) != 1 || a[0].StatusCode != http.StatusOK {
		sh.t.Fatalf("%s\n%d answers, the first %d %s", commands, len(a), a[0].StatusCode, a[0].body)
	}
	var s planSearch
	a[0].decode(sh.t, &s)
	s.statements = a[0].statements(sh.t)
	return s
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// served is a tomehub serve of this test, in a process of its own.
type served struct {
	t          *testing.T
	cmd        *exec.Cmd
	url, admin string
	ready      string // its ready file
	stdout     *bytes.Buffer
	stderr     *bytes.Buffer
	waitOnce   sync.Once
	waitErr    error
}

// startServer runs this test binary as tomehub and waits until it is ready.
func startServer(t *testing.T, dataDir string, args ...string) *served {
	t.Helper()
	return startProgram(t, func(*exec.Cmd) {}, dataDir, args...)
}

// startProgram does the same with a command that change has changed.
func startProgram(t *testing.T, change func(*exec.Cmd), dataDir string, args ...string) *served {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ready := filepath.Join(t.TempDir(), "ready.json")
	s := &served{t: t, ready: ready, stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)}
	// TestMain runs the command that the program's name says.
	s.cmd = &exec.Cmd{Path: self, Args: append([]string{"tomehub", "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--data-dir", dataDir, "--ready-file", ready, "--env-file", "", "--drain-grace", "0"}, args...)}
	s.cmd.Stdout, s.cmd.Stderr = s.stdout, s.stderr
	change(s.cmd)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill(); s.wait() })
	exited := make(chan struct{})
	go func() { s.wait(); close(exited) }()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if data, err := os.ReadFile(ready); err == nil {
			var got struct {
				Public string `json:"public_url"`
				Admin  string `json:"admin_url"`
			}
			if err := json.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			s.url, s.admin = got.Public, got.Admin
			return s
		}
		select {
		case <-exited:
			t.Fatalf("the server ended before it was ready: %v\n%s", s.waitErr, s.stderr)
		case <-deadline:
			t.Fatalf("the server is not ready after 60 s\n%s", s.stderr)
		case <-tick.C:
		}
	}
}

func (s *served) wait() error {
	s.waitOnce.Do(func() { s.waitErr = s.cmd.Wait() })
	return s.waitErr
}

// get decodes the JSON of a GET and returns the status.
func (s *served) get(path string, into any) int {
	s.t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		s.t.Fatalf("GET %s: %v in %s", path, err, body)
	}
	return resp.StatusCode
}

// searchAnswer is what these tests read of a search.
type searchAnswer struct {
	Total   int `json:"total_count"`
	Results []struct {
		ID      int64  `json:"id"`
		Title   string `json:"title"`
		Content string `json:"content"`
		Page    int    `json:"page_number"`
		Book    int64  `json:"book_id"`
	} `json:"results"`
}

// upload sends a file as a form, as a browser does.
func (s *served) upload(file string, fields map[string]string) (int, map[string]any) {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for k, v := range fields {
		form.WriteField(k, v)
	}
	part, err := form.CreateFormFile("file", filepath.Base(file))
	if err != nil {
		s.t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	part.Write(data)
	form.Close()
	resp, err := http.Post(s.url+"/api/ingest", form.FormDataContentType(), &body)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// opticks finds Newton's Opticks in the Go installation that runs the test.
func opticks(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("SKIPPED: needs the go command on the PATH, which knows where Go's own test texts are")
	}
	file := filepath.Join(strings.TrimSpace(string(out)), "src", "testdata", "Isaac.Newton-Opticks.txt")
	if _, err := os.Stat(file); err != nil {
		t.Skip("SKIPPED: this Go installation has no src/testdata/Isaac.Newton-Opticks.txt; a Go from go.dev has")
	}
	return file
}

// A real book as text, and the same through pandoc as EPUB, over HTTP.
func TestRealBook(t *testing.T) {
	file := opticks(t)
	s := startServer(t, t.TempDir())
	status, answer := s.upload(file, nil)
	if status != http.StatusCreated {
		t.Fatalf("ingest answered %d: %v", status, answer)
	}
	checkOpticks(t, s)
	if status, again := s.upload(file, nil); status != http.StatusOK || again["book_id"] != answer["book_id"] {
		t.Errorf("the same file again: %d %v, want 200 and book %v", status, again, answer["book_id"])
	}
}

func TestRealBookAsEPUB(t *testing.T) {
	t.Parallel()
	file := opticks(t)
	if _, err := exec.LookPath("pandoc"); err != nil {
		t.Skip("SKIPPED: needs pandoc to make an EPUB (apt-get install pandoc)")
	}
	// Pandoc reads no plain text; its Markdown reader takes the book with its headings marked.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var md strings.Builder
	md.WriteString("---\ntitle: Opticks\nauthor: Isaac Newton\n---\n\n# The book\n\n")
	md.WriteString(strings.ReplaceAll(string(text), "\r\n", "\n"))
	os.WriteFile(filepath.Join(dir, "opticks.md"), []byte(md.String()), 0o600)
	epub := filepath.Join(dir, "opticks.epub")
	if out, err := exec.Command("pandoc", "-f", "markdown-yaml_metadata_block+yaml_metadata_block", "-o", epub, filepath.Join(dir, "opticks.md")).CombinedOutput(); err != nil {
		t.Fatalf("pandoc: %v\n%s", err, out)
	}
	s := startServer(t, t.TempDir())
	status, answer := s.upload(epub, nil)
	if status != http.StatusCreated || answer["format"] != "epub" {
		t.Fatalf("ingest answered %d: %v", status, answer)
	}
	checkOpticks(t, s)
}

// checkOpticks searches for what Newton wrote.
func checkOpticks(t *testing.T, s *served) {
	t.Helper()
	f := func(query, passageHas string) {
		t.Helper()
		var got searchAnswer
		status := s.get("/api/search?include=details&q="+strings.ReplaceAll(query, " ", "+"), &got)
		if status != 200 || got.Total == 0 {
			t.Errorf("%s: status %d, %d matches", query, status, got.Total)
			return
		}
		for _, r := range got.Results {
			if strings.Contains(strings.Join(strings.Fields(r.Content), " "), passageHas) {
				var one map[string]any
				if status := s.get(fmt.Sprintf("/api/content/%d", r.ID), &one); status != 200 || one["content"] != r.Content {
					t.Errorf("%s: passage %d read alone differs: %d %v", query, r.ID, status, one)
				}
				return
			}
		}
		t.Errorf("%s: none of %d matches holds %q; first: %.300s", query, got.Total, passageHas, got.Results[0].Content)
	}
	f(`"fits of easy reflexion"`, "Fits of easy Reflexion")
	f("refrangibility prism", "Refrangibility")
	f("whiteness compounded colours", "Whiteness")
}

// What was acknowledged is there after kill -9; what was not is there whole or not at all.
func TestKillInMidIngest(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir)
	type book struct {
		id       int64
		passages int
	}
	acknowledged := map[string]book{}
	sent := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			word := fmt.Sprintf("kq%dz", n)
			body, _ := json.Marshal(map[string]string{"title": word, "content": strings.Repeat("The "+word+" of this book is one word among many others in it. ", 200)})
			sent = n + 1
			resp, err := http.Post(s.url+"/api/ingest", "application/json", bytes.NewReader(body))
			if err != nil {
				return
			}
			var got struct {
				Book     int64 `json:"book_id"`
				Passages int   `json:"passages"`
			}
			err = json.NewDecoder(resp.Body).Decode(&got)
			resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusCreated {
				return
			}
			acknowledged[word] = book{got.Book, got.Passages}
			if len(acknowledged) == 7 { // the eighth is under way when the signal arrives
				go s.cmd.Process.Signal(syscall.SIGKILL)
			}
		}
	}()
	<-done
	s.wait()
	if len(acknowledged) < 7 {
		t.Fatalf("only %d books were acknowledged\n%s", len(acknowledged), s.stderr)
	}
	s = startServer(t, dir)
	for n := range sent {
		word := fmt.Sprintf("kq%dz", n)
		var got searchAnswer
		s.get("/api/search?q="+word, &got)
		want, ok := acknowledged[word]
		switch {
		case ok && got.Total != want.passages:
			t.Errorf("%s: acknowledged with %d passages, found %d", word, want.passages, got.Total)
		case !ok && got.Total != 0 && got.Total != acknowledged["kq0z"].passages:
			t.Errorf("%s: never acknowledged, and half of it is there: %d passages", word, got.Total)
		}
	}
}

// SIGTERM ends the server with 0, in good order.
func TestStopsOnSIGTERM(t *testing.T) {
	s := startServer(t, t.TempDir(), "--log-format", "text")
	if got := s.get("/api/health/ready", nil); got != http.StatusOK {
		t.Errorf("ready answers %d", got)
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.wait(); err != nil {
		t.Errorf("ended with %v\n%s", err, s.stderr)
	}
	for _, want := range []string{"Database pools: read 5-50, write 2-10, timeout=30s", "listening", "tomehub stopped"} {
		if !strings.Contains(s.stderr.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, s.stderr)
		}
	}
}

// The phases say in the log which pools they open.
func TestPoolLineOfAPhase(t *testing.T) {
	s := startServer(t, t.TempDir(), "--phase", "A")
	if want := "Database pool: min=5, max=40, timeout=30s"; !strings.Contains(stopped(t, s), want) {
		t.Errorf("the log lacks %q:\n%s", want, s.stderr)
	}
}

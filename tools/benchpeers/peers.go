package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ourName is the peer that the bounds are about.
const ourName = "tomehub"

// Names of files that peers write to.
const (
	resultFile  = "result.json"
	resultsFile = "results.bin"
)

// A peer is a load generator.
type peer struct {
	name string
	// module, unless "", is what go install builds; program, unless "", is what a package of the system brings, which
	// prints its version when it is called with release.
	module  string
	program string
	release string
	path    string
	version string // "" when it is not known
	args    func(p *peer, dir string, l load) ([]string, error)
	count   counter
	// thinks is for tools whose users can pause between requests, asksFirst for those that send a request on each
	// connection before they begin to count.
	thinks    bool
	asksFirst bool
}

// A load is what a peer shall send: requests to url over so many connections, as fast as they are answered, or, when it
// has users who think, with a pause of stillness.
type load struct {
	url                  string
	connections, seconds int
	think                bool
	counted              bool // for the proof that it counts what the server does
}

func (l load) n() string       { return strconv.Itoa(l.connections) }
func (l load) long() string    { return strconv.Itoa(l.seconds) + "s" }
func (l load) timeout() string { return strconv.Itoa(int(answerTimeout.Seconds())) }

// answerTimeout is how long every tool waits for an answer.
const answerTimeout = 10 * time.Second

// peers are pinned where a release is known to build with the module proxy alone.
func peers(ours string) []*peer {
	args := func(of func(l load) []string) func(*peer, string, load) ([]string, error) {
		return func(p *peer, _ string, l load) ([]string, error) { return append([]string{p.path}, of(l)...), nil }
	}
	return []*peer{
		{name: ourName, path: ours, args: loadTomehub, count: countTomehub, thinks: true},
		{name: "vegeta", module: "github.com/tsenart/vegeta/v12@v12.13.0", args: loadVegeta, count: countVegeta},
		{name: "k6", module: "go.k6.io/k6@v1.8.1", args: loadK6, count: countK6, thinks: true},
		{name: "bombardier", module: "github.com/codesenberg/bombardier@v1.2.6", count: countBombardier, args: args(func(l load) []string {
			return []string{"-c", l.n(), "-d", l.long(), "-t", l.timeout() + "s", "--print=result", "--format=json", l.url}
		})},
		// Later releases of fortio take in a language to write scripts in, whose module not every proxy hands out.
		{name: "fortio", module: "fortio.org/fortio@v1.66.3", count: countFortio, asksFirst: true, args: args(func(l load) []string {
			return []string{"load", "-quiet", "-qps", "0", "-c", l.n(), "-t", l.long(), "-timeout", l.timeout() + "s", l.url}
		})},
		{name: "hey", module: "github.com/rakyll/hey@v0.1.5", count: countHey, args: args(func(l load) []string {
			return []string{"-c", l.n(), "-z", l.long(), "-t", l.timeout(), l.url}
		})},
		{name: "wrk", program: "wrk", release: "-v", count: countWrk, args: args(func(l load) []string {
			return []string{"-t", "1", "-c", l.n(), "-d", l.long(), "--timeout", l.timeout() + "s", l.url}
		})},
		// ab keeps room for all requests that it is to send; no tool sends more in a second.
		{name: "ab", program: "ab", release: "-V", count: countAb, args: args(func(l load) []string {
			return []string{"-q", "-r", "-k", "-c", l.n(), "-t", strconv.Itoa(l.seconds), "-n", strconv.Itoa(max(l.connections, 200_000*l.seconds)), "-s", l.timeout(), withPath(l.url)}
		})},
	}
}

// chosen are the peers with the names in only, or all when it is empty, but for those in without. A name that no peer has
// is an error.
func chosen(all []*peer, only, without string) ([]*peer, error) {
	names := func(list string) (out []string) {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				out = append(out, name)
			}
		}
		return out
	}
	with, but := names(only), names(without)
	for _, name := range slices.Concat(with, but) {
		if !slices.ContainsFunc(all, func(p *peer) bool { return p.name == name }) {
			return nil, fmt.Errorf("no tool is named %q", name)
		}
	}
	var out []*peer
	for _, p := range all {
		if (len(with) == 0 || slices.Contains(with, p.name)) && !slices.Contains(but, p.name) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("-only and -without leave no tool to measure")
	}
	return out, nil
}

// grows tells whether the growth per request is asked of p: of ours and the two that scenarios are most often moved from.
func (p *peer) grows() bool { return p.name == ourName || p.name == "vegeta" || p.name == "k6" }

// title is the name with the version.
func (p *peer) title() string { return strings.TrimSpace(p.name + " " + p.version) }

// withPath is url with the path that ab wants.
func withPath(url string) string {
	if strings.Count(url, "/") == 2 {
		return url + "/"
	}
	return url
}

// loadTomehub writes a scenario that reads every answer and checks its status and size.
func loadTomehub(p *peer, dir string, l load) ([]string, error) {
	base, path := l.url, "/"
	if i := strings.LastIndexByte(l.url, '/'); i > len("http://") {
		base, path = l.url[:i], l.url[i:]
	}
	pause := "0s"
	if l.think {
		pause = stillness.String()
	}
	file := filepath.Join(dir, "scenario.yaml")
	text := fmt.Sprintf("version: 1\nduration: %s\nusers: {count: %d}\nconnections: per_user\nthink: %s\nflows:\n"+
		"  - {name: f, steps: [{name: s, get: %s, expect: {min_bytes: %d}}]}\n", l.long(), l.connections, pause, path, len(body))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return []string{p.path, "loadtest", "run", file, "--target", base, "--env-file", "", "--quiet", "--out", filepath.Join(dir, resultFile)}, nil
}

func loadVegeta(p *peer, dir string, l load) ([]string, error) {
	targets, output, rate := filepath.Join(dir, "targets"), os.DevNull, 0
	if err := os.WriteFile(targets, []byte("GET "+l.url+"\n"), 0o600); err != nil {
		return nil, err
	}
	if l.counted {
		output = filepath.Join(dir, resultsFile)
	}
	if strings.HasSuffix(l.url, "/slow") { // its own way to keep so many requests under way
		rate = l.connections / int(stillness/time.Second)
	}
	return []string{p.path, "attack", "-targets=" + targets, "-rate=" + strconv.Itoa(rate), "-max-workers=" + l.n(), "-connections=" + l.n(),
		"-timeout=" + l.timeout() + "s", "-duration=" + l.long(), "-output=" + output}, nil
}

// loadK6 writes a script whose summary is how many requests had a right answer.
func loadK6(p *peer, dir string, l load) ([]string, error) {
	pause := ""
	if l.think {
		pause = fmt.Sprintf("sleep(%v);", stillness.Seconds())
	}
	file := filepath.Join(dir, "script.js")
	text := fmt.Sprintf("import http from 'k6/http';\nimport {sleep} from 'k6';\n"+
		"export default function () { http.get(%q, {timeout: '%ss'}); %s }\n"+
		"export function handleSummary(data) { return {stdout: 'right ' + data.metrics.http_req_failed.values.fails + '\\n'}; }\n", l.url, l.timeout(), pause)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return []string{p.path, "run", "--quiet", "--no-usage-report", "-u", l.n(), "-d", l.long(), file}, nil
}

// number is a version in what a program tells of itself.
var number = regexp.MustCompile(`\d+\.\d+(\.\d+)*`)

// get finds or builds the program. What go install makes stays in cache for the next time.
func (p *peer) get(cache string) error {
	switch {
	case p.path != "":
		return nil // ours
	case p.program != "":
		found, err := exec.LookPath(p.program)
		if err != nil {
			return errors.New("is not installed; apt-get install wrk apache2-utils")
		}
		text, _ := exec.Command(found, p.release).CombinedOutput() // wrk ends with 1 after telling its version
		p.path, p.version = found, number.FindString(string(text))
		return nil
	}
	module, version, _ := strings.Cut(p.module, "@")
	p.version = strings.TrimPrefix(version, "v")
	name := filepath.Base(module)
	if strings.HasPrefix(name, "v") && strings.Trim(name[1:], "0123456789") == "" {
		name = filepath.Base(filepath.Dir(module))
	}
	bin := filepath.Join(cache, version)
	p.path = filepath.Join(bin, name)
	if _, err := os.Stat(p.path); err == nil {
		return nil
	}
	cmd := exec.Command("go", "install", p.module)
	cmd.Dir = os.TempDir() // outside of any module
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "CGO_ENABLED=0", "GOFLAGS=-p=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go install %s: %s", p.module, lastLine(out))
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A peer is a load generator.
type peer struct {
	name string
	// module, unless "", is what go install builds; program, unless "", is what a package of the system brings.
	module  string
	program string
	path    string
	// load is how it sends requests to url over so many connections, as fast as they are answered, or, when it has users
	// who think, with a pause of stillness.
	load   func(p *peer, dir, url string, connections int, seconds int, think bool) ([]string, error)
	thinks bool
}

// peers are pinned where a release is known to build with the module proxy alone.
func peers(ours string) []*peer {
	number := strconv.Itoa
	args := func(a ...string) ([]string, error) { return a, nil }
	return []*peer{
		{name: "tomehub", path: ours, load: loadTomehub, thinks: true},
		{name: "vegeta", module: "github.com/tsenart/vegeta/v12@v12.13.0", load: func(p *peer, dir, url string, n, s int, slow bool) ([]string, error) {
			targets := filepath.Join(dir, "targets")
			if err := os.WriteFile(targets, []byte("GET "+url+"\n"), 0o600); err != nil {
				return nil, err
			}
			rate := "0"
			if strings.HasSuffix(url, "/slow") { // its own way to keep n requests under way
				rate = number(n / int(stillness/time.Second))
			}
			return args(p.path, "attack", "-targets="+targets, "-rate="+rate, "-max-workers="+number(n), "-connections="+number(n),
				"-duration="+number(s)+"s", "-output="+os.DevNull)
		}},
		{name: "k6", module: "go.k6.io/k6@v1.8.1", load: loadK6, thinks: true},
		{name: "bombardier", module: "github.com/codesenberg/bombardier@v1.2.6", load: func(p *peer, _, url string, n, s int, _ bool) ([]string, error) {
			return args(p.path, "-c", number(n), "-d", number(s)+"s", "-t", "10s", "-q", url)
		}},
		{name: "fortio", module: "fortio.org/fortio@v1.66.3", load: func(p *peer, _, url string, n, s int, _ bool) ([]string, error) {
			return args(p.path, "load", "-quiet", "-qps", "0", "-c", number(n), "-t", number(s)+"s", "-timeout", "10s", url)
		}},
		{name: "hey", module: "github.com/rakyll/hey@v0.1.5", load: func(p *peer, _, url string, n, s int, _ bool) ([]string, error) {
			return args(p.path, "-c", number(n), "-z", number(s)+"s", "-t", "10", url)
		}},
		{name: "wrk", program: "wrk", load: func(p *peer, _, url string, n, s int, _ bool) ([]string, error) {
			return args(p.path, "-t", "1", "-c", number(n), "-d", number(s)+"s", "--timeout", "10s", url)
		}},
		{name: "ab", program: "ab", load: func(p *peer, _, url string, n, s int, _ bool) ([]string, error) {
			return args(p.path, "-q", "-k", "-c", number(n), "-t", number(s), "-n", "100000000", withPath(url))
		}},
	}
}

// withPath is url with the path that ab wants.
func withPath(url string) string {
	if strings.Count(url, "/") == 2 {
		return url + "/"
	}
	return url
}

// loadTomehub writes a scenario that reads every answer and checks its fields when they are asked for by the step.
func loadTomehub(p *peer, dir, url string, n, s int, think bool) ([]string, error) {
	base, path := url, "/"
	if i := strings.LastIndexByte(url, '/'); i > len("http://") {
		base, path = url[:i], url[i:]
	}
	pause := "0s"
	if think {
		pause = stillness.String()
	}
	file := filepath.Join(dir, "scenario.yaml")
	text := fmt.Sprintf("version: 1\nduration: %ds\nusers: {count: %d}\nconnections: per_user\nthink: %s\nflows:\n"+
		"  - {name: f, steps: [{name: s, get: %s, expect: {min_bytes: %d}}]}\n", s, n, pause, path, len(body))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return []string{p.path, "loadtest", "run", file, "--target", base, "--env-file", "", "--quiet"}, nil
}

func loadK6(p *peer, dir, url string, n, s int, think bool) ([]string, error) {
	pause := ""
	if think {
		pause = fmt.Sprintf("sleep(%v);", stillness.Seconds())
	}
	file := filepath.Join(dir, "script.js")
	text := fmt.Sprintf("import http from 'k6/http';\nimport {sleep} from 'k6';\nexport default function () { http.get(%q); %s }\n", url, pause)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return []string{p.path, "run", "--quiet", "--no-usage-report", "-u", strconv.Itoa(n), "-d", strconv.Itoa(s) + "s", file}, nil
}

// get finds or builds the program. What go install makes stays in cache for the next time.
func (p *peer) get(cache string) error {
	switch {
	case p.path != "":
		return nil
	case p.program != "":
		found, err := exec.LookPath(p.program)
		if err != nil {
			return errors.New("is not installed; apt-get install wrk apache2-utils")
		}
		p.path = found
		return nil
	}
	module, version, _ := strings.Cut(p.module, "@")
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
		text := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("go install %s: %s", p.module, text[len(text)-1])
	}
	return nil
}

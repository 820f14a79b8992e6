package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// bounds holds our figures against what we ask of ourselves, and prints each with its floor, which must hold, and its
// target. A figure whose other tool could not be had is left out.
func (b *bench) bounds() (held bool, err error) {
	lag, err := b.sendLag()
	if err != nil {
		return false, err
	}
	args, err := loadTomehub(b.peers[0], b.dir, load{url: b.a.url + "/never", connections: b.connections, seconds: 30})
	if err != nil {
		return false, err
	}
	stopped, err := stopping(b.core, args)
	if err != nil {
		return false, err
	}
	held = true
	fmt.Println()
	for _, x := range []struct {
		what          string
		got           float64
		known         bool
		floor, target float64
		most          bool // floor and target are the most it may be
		unit          string
	}{
		{what: "A: work per CPU second against vegeta", got: b.a.ratio(ourName, "vegeta").middle, known: b.has("vegeta"), floor: 1.8, target: 2.2},
		{what: "B: work per CPU second against vegeta", got: b.b.ratio(ourName, "vegeta").middle, known: b.has("vegeta"), floor: 2.5, target: 3},
		{what: "A: work per CPU second against k6", got: b.a.ratio(ourName, "k6").middle, known: b.has("k6"), floor: 4, target: 5},
		{what: "B: work per CPU second against k6", got: b.b.ratio(ourName, "k6").middle, known: b.has("k6"), floor: 5.5, target: 6.5},
		{what: fmt.Sprintf("resident memory at %d users", b.users), got: b.crowd[ourName].rssMiB, known: b.crowd[ourName].rssMiB > 0, floor: 60, target: 20, most: true, unit: " MiB"},
		{what: "growth per request", got: b.perAnswer[ourName], known: has(b.perAnswer, ourName), floor: 1, target: 0.05, most: true, unit: " B"},
		{what: "send lag p99 at 1,000 arrivals/s", got: lag, known: true, floor: 200, target: 100, most: true, unit: " µs"},
		{what: "from Ctrl-C to the program's end", got: float64(stopped.Milliseconds()), known: true, floor: 500, target: 250, most: true, unit: " ms"},
	} {
		if !x.known {
			fmt.Printf("-  %-42s not measured\n", x.what)
			continue
		}
		reaches := func(bound float64) bool { return x.got >= bound != x.most || x.got == bound }
		mark, word := "✓", "at least"
		if x.most {
			word = "at most"
		}
		if !reaches(x.floor) {
			mark, held = "✗", false
		}
		wanted := "reached"
		if !reaches(x.target) {
			wanted = "not reached"
		}
		fmt.Printf("%s  %-42s %8.2f%s, must be %s %v; target %v %s\n", mark, x.what, x.got, x.unit, word, x.floor, x.target, wanted)
	}
	return held, nil
}

func has(m map[string]float64, name string) bool { _, ok := m[name]; return ok }

// sendLag is by how many microseconds requests leave late, as our own result says.
func (b *bench) sendLag() (float64, error) {
	scenario, result := filepath.Join(b.dir, "lag.yaml"), filepath.Join(b.dir, "lag.json")
	text := "version: 1\nwarm_up: 2s\nduration: 10s\narrivals: {rate: 1000/s}\nflows:\n  - {name: f, steps: [{name: s, get: /}]}\n"
	if err := os.WriteFile(scenario, []byte(text), 0o600); err != nil {
		return 0, err
	}
	cmd := pinned(b.core, b.ours, "loadtest", "run", scenario, "--target", b.a.url, "--env-file", "", "--quiet", "--out", result)
	began := time.Now()
	_ = cmd.Run() // a machine that is busy makes the run inconclusive; the lag is told all the same
	data, err := os.ReadFile(result)
	if err != nil {
		return 0, fmt.Errorf("no result after %v: %w", time.Since(began), err)
	}
	var r struct {
		Generator struct {
			SendLag struct {
				P99MS float64 `json:"p99_ms"`
			} `json:"send_lag"`
		} `json:"generator"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return 0, fmt.Errorf("read %s: %w", result, err)
	}
	return 1000 * r.Generator.SendLag.P99MS, nil
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// unknown is the count of a run that tells none.
const unknown = -1

// A counter reads how many right answers a tool says it had, from what it wrote to its standard output or to dir.
type counter func(p *peer, dir string, out []byte, l load) (int64, error)

// agrees holds what a tool counted itself against what the server counted. The server has answered, at the end, some
// requests whose answers nobody waits for any more, at most one on each connection; and a tool may ask once on each
// connection before it begins to count.
func (p *peer) agrees(u usage, connections int) error {
	slack := int64(connections)
	if p.asksFirst {
		slack *= 2
	}
	if u.own > u.requests || u.own < u.requests-slack {
		return fmt.Errorf("it counted %d right answers, the server %d requests", u.own, u.requests)
	}
	return nil
}

// counted finds the one number that re has in its only group. Something that must not be there, such as failed requests,
// is what bad finds.
func counted(re, bad string) counter {
	want, avoid := regexp.MustCompile(re), regexp.MustCompile(bad)
	return func(_ *peer, _ string, out []byte, _ load) (int64, error) {
		if bad != "" {
			if b := avoid.Find(out); b != nil {
				return 0, fmt.Errorf("it says %q", b)
			}
		}
		m := want.FindSubmatch(out)
		if m == nil {
			return 0, errors.New("its output has no count")
		}
		return strconv.ParseInt(string(m[1]), 10, 64)
	}
}

// The counters of tools that tell of themselves when they end.
var (
	countK6         = counted(`(?m)^right (\d+)$`, "")
	countBombardier = counted(`"req2xx":(\d+)`, "")
	countFortio     = counted(`(?m)^Code 200 : (\d+) `, "")
	countHey        = counted(`(?m)^\s*\[200\]\s+(\d+) responses`, "")
	countWrk        = counted(`(?m)^\s*(\d+) requests in `, `Non-2xx or 3xx responses: \d+|Socket errors: .*`)
	countAb         = counted(`(?m)^Complete requests:\s+(\d+)`, `Non-2xx responses:\s+\d+|Failed requests:\s+[1-9]\d*`)
)

// countTomehub reads the result file: answers with the right status and at least as many bytes as there must be.
func countTomehub(_ *peer, dir string, _ []byte, _ load) (int64, error) {
	data, err := os.ReadFile(filepath.Join(dir, resultFile))
	if err != nil {
		return 0, err
	}
	var r struct {
		Total struct {
			OK *int64 `json:"ok"`
		} `json:"total"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return 0, err
	}
	if r.Total.OK == nil {
		return 0, errors.New("the result has no count")
	}
	return *r.Total.OK, nil
}

// countVegeta asks vegeta for a report of what it wrote. Only a run for the proof writes anything, so that the
// measurement has no file in it that nobody asked for.
func countVegeta(p *peer, dir string, _ []byte, l load) (int64, error) {
	if !l.counted {
		return unknown, nil
	}
	out, err := exec.Command(p.path, "report", "-type=json", filepath.Join(dir, resultsFile)).Output()
	if err != nil {
		return 0, fmt.Errorf("vegeta report: %w", err)
	}
	var r struct {
		Codes map[string]int64 `json:"status_codes"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return 0, err
	}
	return r.Codes["200"], nil
}

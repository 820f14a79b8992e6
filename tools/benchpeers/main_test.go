package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The outputs are those of the tools, cut.
func TestToolsCountTheirAnswers(t *testing.T) {
	f := func(why string, count counter, out string, want int64, fault string) {
		t.Helper()
		got, err := count(nil, "", []byte(out), load{})
		if (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) || err == nil && got != want {
			t.Errorf("%s: %d, %v; want %d, %q", why, got, err, want, fault)
		}
	}
	f("k6", countK6, "right 19\n", 19, "")
	f("bombardier", countBombardier, `"timeTakenSeconds":1.008530816,"req1xx":0,"req2xx":13617,"req3xx":0`, 13617, "")
	f("fortio", countFortio, "127.0.0.1:34501: 4\nCode 200 : 18693 (100.0 %)\nAll done 18693 calls (plus 4 warmup) 0.213 ms avg, 18689.0 qps\n", 18693, "")
	f("fortio with failures", countFortio, "Code  -1 : 7 (0.1 %)\nCode 200 : 18693 (99.9 %)\n", 18693, "")
	f("hey", countHey, "\nStatus code distribution:\n  [200]\t5944 responses\n\n", 5944, "")
	f("hey without a right answer", countHey, "\nStatus code distribution:\n  [503]\t5944 responses\n\n", 0, "no count")
	const wrk = "    Req/Sec    16.81k     7.63k   23.57k    80.00%\n  16690 requests in 1.01s, 1.96MB read\n"
	f("wrk", countWrk, wrk, 16690, "")
	f("wrk with failures", countWrk, wrk+"  Non-2xx or 3xx responses: 12\n", 0, "Non-2xx or 3xx responses: 12")
	f("wrk with broken connections", countWrk, wrk+"  Socket errors: connect 0, read 3, write 0, timeout 0\n", 0, "read 3")
	const ab = "Time taken for tests:   1.000 seconds\nComplete requests:      15665\nFailed requests:        0\nKeep-Alive requests:    15665\n"
	f("ab", countAb, ab, 15665, "")
	f("ab with failures", countAb, strings.Replace(ab, "Failed requests:        0", "Failed requests:        20", 1), 0, "20")
	f("ab with other answers", countAb, ab+"Non-2xx responses:      4\n", 0, "Non-2xx")
}

func TestTomehubCountsByItsResult(t *testing.T) {
	f := func(why, result string, want int64, good bool) {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, resultFile), []byte(result), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := countTomehub(nil, dir, nil, load{}); (err == nil) != good || got != want {
			t.Errorf("%s: %d, %v", why, got, err)
		}
	}
	f("right answers alone", `{"total":{"completed":9,"ok":7}}`, 7, true)
	f("none", `{"total":{"completed":9,"ok":0}}`, 0, true)
	f("another form", `{"total":{"completed":9}}`, 0, false)
	f("cut", `{"total":`, 0, false)
	if _, err := countTomehub(nil, t.TempDir(), nil, load{}); err == nil {
		t.Error("a result that is not there has a count")
	}
}

func TestAgrees(t *testing.T) {
	f := func(why string, asksFirst bool, own, requests int64, want bool) {
		t.Helper()
		p := &peer{asksFirst: asksFirst}
		if err := p.agrees(usage{own: own, requests: requests}, 32); (err == nil) != want {
			t.Errorf("%s: %v", why, err)
		}
	}
	f("the same", false, 1000, 1000, true)
	f("one in flight on each connection at the end", false, 968, 1000, true)
	f("one too many in flight", false, 967, 1000, false)
	f("more than there were", false, 1001, 1000, false)
	f("asked once on each connection before", true, 936, 1000, true)
	f("and one too many", true, 935, 1000, false)
}

func TestChosen(t *testing.T) {
	f := func(only, without, want, fault string) {
		t.Helper()
		list, err := chosen(peers("tomehub"), only, without)
		var names []string
		for _, p := range list {
			names = append(names, p.name)
		}
		if got := strings.Join(names, " "); got != want || (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("-only %q -without %q: %q, %v; want %q, %q", only, without, got, err, want, fault)
		}
	}
	f("", "", "tomehub vegeta k6 bombardier fortio hey wrk ab", "")
	f("", "k6", "tomehub vegeta bombardier fortio hey wrk ab", "")
	f("ab", "", "ab", "")
	f("ab, tomehub", "", "tomehub ab", "")
	f("ab,k6", "k6", "ab", "")
	f("k6", "k6", "", "leave no tool")
	f("siege", "", "", `"siege"`)
	f("", "k7", "", `"k7"`)
}

// A ratio is of runs of the same round; the medians of all rounds would be 2 here.
func TestTableHoldsRoundAgainstRound(t *testing.T) {
	one := func(requests int64, ms time.Duration) usage {
		return usage{requests: requests, user: ms * time.Millisecond / 4, system: ms * time.Millisecond * 3 / 4, rssMiB: float64(requests) / 100}
	}
	ours, theirs, lost := &peer{name: ourName, version: "1.0"}, &peer{name: ratioTo, version: "12"}, &peer{name: "wrk"}
	b := &bench{
		rounds: 3, seconds: 10, connections: 32, users: 10_000, serverCore: "0", core: "1", peers: []*peer{ours, theirs, lost},
		a: &target{name: "A", runs: map[string][]usage{
			ourName: {one(4000, 1000), one(6000, 1000), one(3000, 500)},
			ratioTo: {one(1000, 1000), one(3000, 1000), one(4000, 1000)},
			"wrk":   {one(9000, 1000)},
		}},
		b:   &target{name: "B", runs: map[string][]usage{ourName: {one(1_234_567, 1000)}, ratioTo: {one(500, 1000)}, "wrk": {one(500, 1000)}}},
		own: map[string]int64{ourName: 9, ratioTo: 999, "wrk": 1}, seen: map[string]int64{ourName: 9, ratioTo: 1000, "wrk": 2},
		crowd:     map[string]usage{ourName: {rssMiB: 85.4, open: 9_501}, "wrk": {rssMiB: 55, open: 9_499}},
		perAnswer: map[string]float64{ourName: 0.354},
	}
	var out bytes.Buffer
	b.table(&out)
	rows := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{
		"| tool | A: requests per CPU second | A, of vegeta | A: µs of CPU per request, user + system | B: requests per CPU second | B, of vegeta | " +
			"B: µs of CPU per request, user + system | MiB at most, 32 connections | MiB at most, 10,000 users | B of growth per request | counted itself |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
		"| tomehub 1.0 | 6,000 | 2.00 (1.50–4.00) | 41.67 + 125.00 | 1,234,567 | 2469.13 | 0.20 + 0.61 | 12346 | 85 | 0.35 | 100.00 % |",
		"| vegeta 12 | 3,000 | 1 | 83.33 + 250.00 | 500 | 1 | 500.00 + 1500.00 | 40 | n/a | n/a | 99.90 % |",
		"| wrk | 9,000 | n/a | 27.78 + 83.33 | 500 | 1 | 500.00 + 1500.00 | 90 | 55, with 9,499 connections | n/a | 50.00 % |",
	}
	for i, w := range want {
		if got := rows[len(rows)-len(want)+i]; got != w {
			t.Errorf("row %d:\n%s\nwant:\n%s", i, got, w)
		}
	}
}

// A process that stayed below its parent is told by what was seen of it.
func TestMemoryOf(t *testing.T) {
	now, err := memoryOf(os.Getpid(), "VmRSS:")
	peak, err2 := memoryOf(os.Getpid(), "VmHWM:")
	if err != nil || err2 != nil || now < 1<<20 || peak < now {
		t.Errorf("resident %v (%v), at most %v (%v)", now, err, peak, err2)
	}
	if _, err := memoryOf(os.Getpid(), "VmNothing:"); err == nil {
		t.Error("a field that is not there has a value")
	}
}

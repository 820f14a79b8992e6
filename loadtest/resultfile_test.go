package loadtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// smallResult is a result in JSON, small enough to be a seed.
func smallResult(t testing.TB) []byte {
	t.Helper()
	r := madeResult(t, 1, 1, 1, 0)
	for i := range r.Steps {
		r.Steps[i].Windows = r.Steps[i].Windows[:1]
	}
	r.Windows = []Window{{LengthS: 1, Completed: 3, OK: 3}}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadResult(t *testing.T) {
	f := func(name, data, want string) {
		t.Helper()
		_, err := ReadResult(strings.NewReader(data))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !errors.Is(err, ErrNotResult)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	good := string(smallResult(t))
	f("a result", good, "")
	f("a report of one", `{"schema_version":1,"title":"x","facts":[],"data":`+good+`}`, "")
	f("nothing", "", "empty or cut short")
	f("cut short", good[:len(good)/2], "empty or cut short")
	f("YAML", "version: 1", "invalid character")
	f("two results", good+good, "invalid character")
	f("a checkpoint", `{"schema_version":1,"checkpoints":[]}`, "loadtest checkpoint")
	f("a report of a checkpoint", `{"schema_version":1,"data":{"schema_version":1,"checkpoints":[]}}`, "loadtest checkpoint")
	f("a profile", `{"schema_version":1,"statements":[]}`, "names no scenario")
	f("a list", `[1]`, "cannot unmarshal")
	f("another version", strings.Replace(good, `"schema_version":1`, `"schema_version":2`, 1), "version 2, this program reads version 1")
	f("a wrong type", strings.Replace(good, `"seed":1`, `"seed":"x"`, 1), "seed")
	f("less than no requests", strings.Replace(good, `"completed":3,`, `"completed":-3,`, 1), "window 0: it has -3 requests")
	f("more right than all", strings.Replace(good, `"ok":3,`, `"ok":4,`, 1), "it has 3 requests, 4 of one kind")
	f("a window of no length", strings.Replace(good, `"length_s":3`, `"length_s":0`, 1), "step search, window 0: it begins at 0 s and lasts 0 s")
	f("no time scale", strings.Replace(good, `"time_scale":1`, `"time_scale":0`, 1), "time scale")
	f("too many windows", strings.Replace(good, `"windows":[{`, `"windows":[`+strings.Repeat(`{"length_s":1},`, 200)+`{`, 1), "at most 120 are read")
}

func TestLoadResultNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "torn.json")
	if err := os.WriteFile(path, smallResult(t)[:99], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, path + ".missing"} {
		if _, err := LoadResult(p); err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("LoadResult = %v, want the name of %s", err, p)
		}
	}
}

// A histogram that does not fit its window, or is none, is told with its place.
func TestCompareFindsBrokenHistograms(t *testing.T) {
	f := func(response, want string) {
		t.Helper()
		r := madeResult(t, 1, 1, 1, 0)
		r.Steps[1].Windows[7].Response = response
		_, err := Compare([]NamedResult{{"a.json", madeResult(t, 1, 1, 1, 0)}}, []NamedResult{{"b.json", r}}, CompareOptions{})
		if !errors.Is(err, ErrNotResult) || !strings.Contains(err.Error(), "b.json: step read, window 7: read histogram: "+want) {
			t.Errorf("%.20q: %v, want %q", response, err, want)
		}
	}
	f("AAAA", "encoded histogram too short")
	f("?", "illegal base64")
	crowd := newHistogram()
	if err := crowd.RecordValues(1000, 121); err != nil {
		t.Fatal(err)
	}
	text, err := encoded(crowd)
	if err != nil {
		t.Fatal(err)
	}
	f(text, "holds 121 times of 120 requests")
}

// Whatever a file holds, reading and comparing it ends with an error or a comparison that can be written.
func FuzzReadResult(f *testing.F) {
	good := smallResult(f)
	f.Add(good)
	f.Add(good[:len(good)-9])
	f.Add([]byte(`{"schema_version":1,"data":{"schema_version":1,"scenario":"x","time_scale":1,"windows":[{"length_s":1}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadResult(bytes.NewReader(data))
		if err != nil {
			return
		}
		named := []NamedResult{{"a", r}}
		c, err := Compare(named, named, CompareOptions{})
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := c.Report().WriteJSON(&out); err != nil {
			t.Error(err)
		}
	})
}

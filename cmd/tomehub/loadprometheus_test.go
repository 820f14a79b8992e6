package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Prometheus reads the address of the server that runs, and none once that is about to stop.
func TestPrometheusTargets(t *testing.T) {
	p := prometheusSettings{targets: filepath.Join(t.TempDir(), "server.json")}
	f := func(want string) {
		t.Helper()
		got, err := os.ReadFile(p.targets)
		if err != nil || string(got) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		if info, err := os.Stat(p.targets); err != nil || info.Mode().Perm()&0o044 == 0 {
			t.Errorf("others cannot read it: %v, %v", info, err)
		}
	}
	for _, port := range []string{"1234", "5678"} {
		retract, err := p.announce("http://127.0.0.1:" + port)
		if err != nil {
			t.Fatal(err)
		}
		f(`[{"targets":["127.0.0.1:` + port + `"]}]` + "\n")
		if err := retract(); err != nil {
			t.Fatal(err)
		}
		f("[]\n")
	}
	none := prometheusSettings{}
	if retract, err := none.announce("http://127.0.0.1:1"); err != nil || retract() != nil {
		t.Errorf("without a file: %v", err)
	}
}

package extract

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var opticksOnce = sync.OnceValues(func() ([]byte, error) {
	root := os.Getenv("GOROOT")
	if root == "" {
		out, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return nil, err
		}
		root = strings.TrimSpace(string(out))
	}
	return os.ReadFile(filepath.Join(root, "src", "testdata", "Isaac.Newton-Opticks.txt"))
})

// opticks returns Newton's Opticks, which every Go distribution carries as test data.
func opticks(t testing.TB) []byte {
	t.Helper()
	data, err := opticksOnce()
	if err != nil {
		t.Skipf("SKIPPED: needs a Go distribution with src/testdata/Isaac.Newton-Opticks.txt under `go env GOROOT`: %v", err)
	}
	return data
}

func readOpticks(t testing.TB) Text {
	t.Helper()
	text, err := Read(opticks(t), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

package main

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// demoFiles are those of a data directory with the demo library, by name, as a server that has ended left them.
var demoFiles struct {
	mu    sync.Mutex // guards files
	files map[string][]byte
}

// demoLibrary is a data directory of the test's own that holds the demo library. Only the first test to want one waits
// until a server has filled it.
func demoLibrary(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	demoFiles.mu.Lock()
	defer demoFiles.mu.Unlock()
	if demoFiles.files == nil {
		stopped(t, startServer(t, dir, "--demo"))
		demoFiles.files = readFiles(t, dir)
		return dir
	}
	for name, data := range demoFiles.files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func readFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

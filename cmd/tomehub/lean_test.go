package main

import (
	"runtime/debug"
	"testing"
)

// A load test collects its garbage early, unless the operator said when.
func TestLean(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	f := func(gogc string, set bool, want int) {
		t.Helper()
		a := &app{lookup: func(name string) (string, bool) { return gogc, set && name == "GOGC" }}
		debug.SetGCPercent(77)
		a.lean()
		if got := debug.SetGCPercent(77); got != want {
			t.Errorf("GOGC %q: %d percent, want %d", gogc, got, want)
		}
	}
	f("", false, leanPercent)
	f("", true, leanPercent) // as the runtime reads it: not set
	f("200", true, 77)
	f("off", true, 77)
}

package main

import (
	"runtime/debug"
	"testing"
)

// A load test collects garbage early, unless the operator said when.
func TestLean(t *testing.T) {
	f := func(gogc string, set bool, want int) {
		t.Helper()
		before := debug.SetGCPercent(150)
		defer debug.SetGCPercent(before)
		a := &app{lookup: func(name string) (string, bool) { return gogc, set && name == "GOGC" }}
		a.lean()
		if got := debug.SetGCPercent(150); got != want {
			t.Errorf("GOGC %q (set: %v): collects at %d %%, want %d", gogc, set, got, want)
		}
	}
	f("", false, leanPercent)
	f("", true, leanPercent)
	f("150", true, 150)
}

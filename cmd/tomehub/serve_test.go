package main

import (
	"strings"
	"testing"
)

// A newcomer types what serve --demo prints, and so does CI.
func TestInvitation(t *testing.T) {
	f := func(page bool, pages int) {
		t.Helper()
		text := invitation("http://127.0.0.1:5001", page)
		curls := 0
		for line := range strings.Lines(text) {
			if strings.HasPrefix(strings.TrimSpace(line), "curl ") {
				curls++
			}
		}
		if curls != 3 || strings.Count(text, "http://127.0.0.1:5001/?q=dasein") != pages || strings.Contains(text, "URL") {
			t.Errorf("with a page %t: %d requests, and it says\n%s", page, curls, text)
		}
	}
	f(true, 1)
	f(false, 0)
}

package loadtest

import (
	"runtime"
	"testing"
)

// Ten thousand users must not need more than their connections do: what one is made of is bounded, with the values that it feeds on and takes.
func TestUsersAreSmall(t *testing.T) {
	scn := mustParse(t, "users: {count: 1}\nthink: 1s\nfeeders: {query: {values: [a, b]}}\nflows: [{name: f, steps: [{name: s, get: \"/?q={{query}}\", take: {id: {path: id}}}, {name: t, get: \"/{{id}}\"}]}]\n")
	run := newShared(scn, "http://127.0.0.1:1", "x")
	const n, most = 1000, 400 // bytes
	users := make([]*user, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range users {
		users[i] = newUser(i, run, 1)
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / n; got > most {
		t.Errorf("a user has %d bytes, want at most %d", got, most)
	}
	runtime.KeepAlive(users)
}

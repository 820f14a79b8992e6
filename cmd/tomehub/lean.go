package main

import "runtime/debug"

// leanPercent is by how many percent the heap of a load test may grow over what is live before it is collected. The
// normal 100 would double what thousands of users need; a crew leaves next to no garbage, so collecting it early costs little.
const leanPercent = 30

// lean readies the process for a load test, which is to leave the machine to others: it bounds the garbage, and gives back
// what only the start needed. Where the operator set GOGC, that stands.
func (a *app) lean() {
	if set, ok := a.lookup("GOGC"); !ok || set == "" {
		debug.SetGCPercent(leanPercent)
	}
	forgetStart()
}

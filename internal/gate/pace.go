package gate

import "time"

// A pace is how fast the slots of a gate turn while somebody waits for one: an average of the
// times between two of them coming free, in which the last round of all slots counts for most.
//
// It forgets by rounds because slots that were taken together come free together: 50 of them at
// once and then none for a while. An average over a few turns would take the pause for nothing
// after each burst, and the burst for nothing after each pause.
type pace struct {
	rounds float64       // turns in which an old time has lost most of its weight
	mean   time.Duration // 0: nothing learned
	since  time.Time     // of the last turn, or of somebody starting to wait
}

// fewestTurns steadies the average of a gate of few slots.
const fewestTurns = 4

func newPace(size int) pace { return pace{rounds: float64(max(size, fewestTurns))} }

// begin starts the clock when the first caller waits: what came before says how often slots
// were asked for, not how fast they turn.
func (p *pace) begin(now time.Time) { p.since = now }

// slotFreed takes in a turn. Somebody waits.
func (p *pace) slotFreed(now time.Time) {
	p.mean = p.blend(now)
	p.since = now
}

// estimate is the mean, or what it would be if a slot came free now, when that is longer: a
// standstill shows before it ends.
func (p *pace) estimate(now time.Time) time.Duration { return max(p.mean, p.blend(now)) }

func (p *pace) blend(now time.Time) time.Duration {
	return p.mean + time.Duration(float64(now.Sub(p.since)-p.mean)/p.rounds)
}

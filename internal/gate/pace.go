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

	// How long slots are held, learned also while nobody waits: without it, whoever waits first in
	// an overload would be let in as if slots turned at once.
	size int
	held time.Duration // mean of the last round of slots given back; 0: nothing learned
	busy time.Duration // time that slots were taken in this round, added up
	back int           // slots given back in this round
	last time.Time     // up to when busy is counted
}

// fewestTurns steadies the average of a gate of few slots.
const fewestTurns = 4

func newPace(size int) pace { return pace{rounds: float64(max(size, fewestTurns)), size: size} }

// tally counts the time that taken slots have been taken since the last change of their number.
func (p *pace) tally(now time.Time, taken int) {
	p.busy += time.Duration(taken) * now.Sub(p.last)
	p.last = now
}

// givenBack takes in that a slot was given back. Over a round, the time slots were taken by their
// number is how long each was held, whichever it was (Little's law).
func (p *pace) givenBack() {
	if p.back++; float64(p.back) < p.rounds {
		return
	}
	p.held = p.busy / time.Duration(p.back)
	p.busy, p.back = 0, 0
}

// begin starts the clock when the first caller waits: what came before says how often slots
// were asked for, not how fast they turn.
func (p *pace) begin(now time.Time) { p.since = now }

// slotFreed takes in a turn. Somebody waits.
func (p *pace) slotFreed(now time.Time) {
	p.mean = p.blend(now)
	p.since = now
}

// estimate is the mean, or what it would be if a slot came free now, or what the time that slots
// are held makes of it, whichever is longest: a standstill shows before it ends.
func (p *pace) estimate(now time.Time) time.Duration {
	return max(p.mean, p.blend(now), p.held/time.Duration(p.size))
}

func (p *pace) blend(now time.Time) time.Duration {
	return p.mean + time.Duration(float64(now.Sub(p.since)-p.mean)/p.rounds)
}

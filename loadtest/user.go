package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

// shared is what all users of one run have in common.
type shared struct {
	id             string // of the run, in templates
	worker         Worker
	scn            *Scenario
	base           string        // the target's URL, without a slash at its end
	host, basePath string        // of base, as they stand in a request
	plans          []requestPlan // by the step's index
	weights        []int         // of the flows, added up
	cursors        []atomic.Uint64
}

// newShared wants a base that parseTarget would take.
func newShared(scn *Scenario, base, id string) *shared {
	s := &shared{id: id, scn: scn, base: base, cursors: make([]atomic.Uint64, len(scn.feeders))}
	if target, err := url.Parse(base); err == nil {
		s.host, s.basePath = target.Host, target.EscapedPath()
	}
	for _, st := range scn.steps {
		s.plans = append(s.plans, newRequestPlan(scn, st, s.host))
	}
	sum := 0
	for _, f := range scn.Flows {
		sum += f.Weight
		s.weights = append(s.weights, sum)
	}
	return s
}

// A user walks through flows, one request at a time. In the open model it is one visitor after another. Whoever holds
// the *user may use it; it passes from the agenda to a worker of vegeta, to the reader of results, and back.
type user struct {
	slot      int // its place in the run, from 0
	run       *shared
	rng       rand.Rand // of source
	source    rand.PCG
	transport http.RoundTripper
	ctx       context.Context // ends with the run; for net/http it carries the user's connection trace
	wire      *wire           // of a crew's user with a wire of its own, while it thinks

	identity  int // from 1
	iteration int // flows begun
	flow      *Flow
	step      int // of flow.Steps
	repeat    int // times the step was done already
	feeds     []int32
	captures  []capture
	skipped   func(*Step)

	call call
}

// A call is one request of a user and its answer.
type call struct {
	step     *Step
	due      time.Duration // intended start, since the run began
	held     bool          // due while every slot was taken, so being late is not the generator's doing
	answered time.Duration // when the answer was read or had failed, since the run began
	kind     Kind
	status   int // of the answer; 0 without a whole one
	bytes    int64
	detail   string // the error's or the fault's text
	conns    int    // connections it was sent on; more than one when it had to be sent again

	came            stage         // of a stream
	head, firstLine time.Duration // when they had come, since the run began
}

func newUser(slot int, run *shared, seed uint64) *user {
	nth := run.worker.nth(slot)
	u := &user{slot: slot, identity: nth + 1, run: run}
	u.source.Seed(seed, uint64(nth))
	u.rng = *rand.New(&u.source)
	most := 0
	for _, f := range run.scn.Flows {
		most = max(most, len(f.picks))
	}
	u.captures = make([]capture, most)
	u.feeds = make([]int32, len(run.scn.feeders))
	return u
}

// begin starts a flow.
func (u *user) begin() {
	u.iteration++
	u.flow = &u.run.scn.Flows[0]
	if n := len(u.run.weights); n > 1 {
		x := u.rng.IntN(u.run.weights[n-1])
		for i, sum := range u.run.weights {
			if x < sum {
				u.flow = &u.run.scn.Flows[i]
				break
			}
		}
	}
	u.step, u.repeat = 0, 0
	for i := range u.feeds {
		u.feeds[i] = -1
	}
	for i := range u.captures {
		u.captures[i].clear()
	}
	u.choose()
}

// advance goes to the next request of the flow; false when the flow is done. Steps that need a value that no answer
// gave are skipped, and counted.
func (u *user) advance() bool {
	for {
		st := u.flow.Steps[u.step]
		if u.repeat++; u.repeat >= st.Repeat {
			u.step, u.repeat = u.step+1, 0
			if u.step == len(u.flow.Steps) {
				return false
			}
		}
		if u.choose() {
			return true
		}
		st = u.flow.Steps[u.step]
		u.skipped(st)
		u.repeat = st.Repeat // its other repetitions would find no value either
	}
}

// choose picks the values that the step at hand needs; false when there are none.
func (u *user) choose() bool {
	st := u.flow.Steps[u.step]
	for _, c := range st.needs {
		if !u.captures[c].choose(u.flow.picks[c], &u.rng) {
			return false
		}
	}
	return true
}

// fed is the value of a feeder for the flow at hand: drawn once, the same in all its steps.
func (u *user) fed(i int) string {
	f := u.run.scn.feeders[i]
	if u.feeds[i] < 0 {
		u.feeds[i] = int32(f.draw(&u.rng, &u.run.cursors[i], u.run.worker))
	}
	return f.values[u.feeds[i]]
}

// pause is how long the user thinks after the answer to st.
func (u *user) pause(st *Step) time.Duration {
	p := u.run.scn.Think
	if st.Think != nil {
		p = *st.Think
	}
	return u.draw(p)
}

// next is when the user asks again after the answer at hand: when it has thought, and not before its pace.
func (u *user) next() time.Duration {
	at := u.call.answered + u.pause(u.call.step)
	pace := u.run.scn.Pace
	if p := u.call.step.Pace; p != nil {
		pace = *p
	}
	if pace == (Pause{}) {
		return at
	}
	return max(at, u.call.due+u.draw(pace))
}

func (u *user) draw(p Pause) time.Duration {
	switch {
	case p.Mean > 0:
		// Cut at ten times the mean, which one pause in 22,000 would exceed, so that no user is lost for the run.
		return min(time.Duration(u.rng.ExpFloat64()*float64(p.Mean)), 10*p.Mean)
	case p.Max > p.Min:
		return p.Min + time.Duration(u.rng.Int64N(int64(p.Max-p.Min)+1))
	}
	return p.Min
}

// request is what the user sends next.
type request struct {
	method, url string
	header      http.Header
	body        []byte
}

// open starts a call for the user's next request.
func (u *user) open() *Step {
	st := u.flow.Steps[u.step]
	u.call = call{step: st, due: u.call.due, held: u.call.held, kind: BadRequest, detail: "the request could not be made from its template"}
	for _, t := range st.takes {
		u.captures[t.capture].clear()
	}
	return st
}

// prepare makes the user's next request for vegeta and starts a call for it.
func (u *user) prepare() request {
	st := u.open()
	p := u.plan()
	target := append(make([]byte, 0, 256), u.run.base...)
	target = append(st.path.append(target, u), '#') // the fragment names the user in a Result
	target = strconv.AppendInt(target, int64(u.slot), 10)
	r := request{method: st.Method, url: string(target), header: make(http.Header, 2+len(p.fields))}
	if host := p.host.render(u); host != u.run.host {
		r.header["Host"] = []string{host}
	}
	r.header["User-Agent"] = []string{p.agent.render(u)}
	if len(st.body.parts) > 0 {
		r.body = st.body.append(make([]byte, 0, st.body.room()), u)
	}
	for _, h := range p.fields {
		r.header[h.key] = []string{h.value.render(u)}
	}
	return r
}

// maxCaptureBytes bounds what one capture of one user keeps.
const maxCaptureBytes = 256 << 10

// judge holds a whole answer against what the step expects and keeps the values that later steps need. body is nil
// unless the step reads it; size counts all bytes.
func (u *user) judge(status int, body []byte, size int64) {
	c, st := &u.call, u.call.step
	c.bytes, c.kind, c.detail, c.status = size, OK, "", status
	if !st.Expect.accepts(status) {
		c.kind, c.detail = kindOfStatus(status), "status "+strconv.Itoa(status)
		return
	}
	if size < st.Expect.MinBytes {
		c.kind, c.detail = WrongAnswer, fmt.Sprintf("answer has %d bytes, must have %d", size, st.Expect.MinBytes)
		return
	}
	if len(st.reads) == 0 {
		return
	}
	var room [16]bool
	seen := append(room[:0], make([]bool, len(st.Expect.JSON))...)
	err := scanJSON(body, st.reads, func(i int, value []byte) {
		if i < len(seen) {
			seen[i] = true
			if f := &st.Expect.JSON[i]; c.kind == OK && f.Equals != nil && !f.equals(value) {
				c.kind, c.detail = WrongAnswer, fmt.Sprintf("%s is %s, must be %s", f.Path, clip(string(value), 60), *f.Equals)
			}
			return
		}
		t := st.takes[i-len(seen)]
		if k := &u.captures[t.capture]; len(k.ends) < t.max && len(k.raw)+len(value) <= maxCaptureBytes {
			k.add(value)
		}
	})
	if err != nil {
		c.kind, c.detail = NotJSON, err.Error()
		return
	}
	for i, there := range seen {
		if f := st.Expect.JSON[i]; c.kind == OK && there == f.Absent {
			c.kind, c.detail = WrongAnswer, f.Path+map[bool]string{true: " is there", false: " is missing"}[there]
		}
	}
}

func (e *Expect) accepts(status int) bool {
	if len(e.Status) == 0 {
		return status >= 200 && status <= 299
	}
	for _, s := range e.Status {
		if s == status {
			return true
		}
	}
	return false
}

// equals compares a value as it stands in an answer with the one that the file wants.
func (f *FieldCheck) equals(value []byte) bool {
	if len(value) > 0 && value[0] == '"' {
		return f.text && unquote(value) == *f.Equals
	}
	if f.text {
		return false
	}
	if bytes.Equal(value, []byte(*f.Equals)) {
		return true
	}
	a, errA := strconv.ParseFloat(string(value), 64)
	b, errB := strconv.ParseFloat(*f.Equals, 64)
	return errA == nil && errB == nil && a == b
}

// clip shortens text that a server made up.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

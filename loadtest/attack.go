package loadtest

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// An attack sends what an agenda says, by vegeta. This file and vegeta.go alone know vegeta.
//
// vegeta's own pacers know rates only, so the Pacer here blocks until the agenda has a user who is to send, and the
// Targeter takes the users in that order. A Result has no room for a label, and after an error not even headers; so each
// user is named in the fragment of its URL, which stands in every Result and is never sent to a server (RFC 9110, 7.1).
type attack struct {
	agenda   *agenda
	users    []*user
	exchange http.RoundTripper // must set the call of the user named in the request's fragment
	began    time.Time
	after    func(u *user, sent time.Duration) (at time.Duration, back bool)
}

// run returns when the agenda has ended and every request has. It stops at once when ctx ends, given that the requests
// end with ctx too.
func (a *attack) run(ctx context.Context) {
	ready := make(chan *user, len(a.users))
	client := &http.Client{Transport: a.exchange}
	// In the closed model no more than all users can be under way, in the open one no more than all slots: the workers
	// are bounded without ever making a due request wait.
	attacker := vegeta.NewAttacker(vegeta.Client(client), vegeta.MaxWorkers(uint64(len(a.users))), vegeta.MaxBody(0))
	stop := context.AfterFunc(ctx, a.agenda.wait.wake)
	defer stop()
	target := func(t *vegeta.Target) error {
		r := (<-ready).prepare()
		t.Method, t.URL, t.Header, t.Body = r.method, r.url, r.header, r.body
		return nil
	}
	for r := range attacker.Attack(target, agendaPacer{a.agenda, ready}, 0, "") {
		u := a.users[slotOf(r.URL)]
		sent := r.Timestamp.Sub(a.began)
		if u.call.kind == BadRequest { // it did not get as far as the exchange
			u.call.answered = sent + r.Latency
			u.call.detail = clip(r.Error, 200)
		}
		if at, back := a.after(u, sent); back {
			a.agenda.push(u, at)
		} else if a.agenda.arrivals != nil {
			a.agenda.leave(u)
		}
	}
}

// slotOf reads the user's slot from the fragment of a URL that user.prepare made.
func slotOf(url string) int {
	slot, err := strconv.Atoi(url[strings.LastIndexByte(url, '#')+1:])
	if err != nil {
		panic("loadtest: a result without its user: " + url) // every URL ends in a label
	}
	return slot
}

// agendaPacer makes vegeta's pacing wait for the agenda.
type agendaPacer struct {
	agenda *agenda
	ready  chan<- *user
}

func (p agendaPacer) Pace(time.Duration, uint64) (time.Duration, bool) {
	u, ok := p.agenda.next()
	if !ok {
		return 0, true
	}
	p.ready <- u // has room for all users
	return 0, false
}

// Rate is part of vegeta's interface, and only its plots ask for it.
func (p agendaPacer) Rate(time.Duration) float64 { return 0 }

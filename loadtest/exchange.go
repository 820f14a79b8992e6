package loadtest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxAnswer bounds the answers that are kept whole while their fields are read. Other answers may have any length.
const maxAnswer = 16 << 20

// keepAlive is how long a connection says nothing before the kernel asks whether the other side is still there.
const keepAlive = 30 * time.Second

// newDialer returns what every connection to a target is made by, unless a directDialer makes it.
func newDialer() *net.Dialer { return &net.Dialer{KeepAlive: keepAlive} }

// A dialer is net.Dialer.DialContext.
type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// newTransport returns a transport for up to conns connections. It leaves out whatever would make an answer look better
// or worse than it was sent: no proxy, no compression of its own, no redirects, HTTP/1.1.
func newTransport(conns int) *http.Transport {
	t := &http.Transport{
		DialContext:         newDialer().DialContext,
		MaxIdleConnsPerHost: conns,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,

		MaxResponseHeaderBytes: maxHead,
	}
	if conns == 1 {
		// One of thousands of users with connections of their own: 1 KiB takes the head of an answer just as well as the
		// usual 4, and 10,000 users need 290 MiB in place of 410.
		t.ReadBufferSize, t.WriteBufferSize = 1<<10, 1<<10
	}
	return t
}

// An exchange sends each request of an attack, reads the whole answer, and sets the call of its user.
//
// It runs on the goroutines that send, so answers are read and judged in parallel; call.answered is taken before the answer is
// judged, so that the generator's own work is in no latency.
type exchange struct {
	users  []*user
	clock  func() time.Duration
	opened atomic.Int64      // connections
	bodies sync.Pool         // of *[]byte
	rooms  sync.Pool         // of *[streamRoom]byte
	slow   http.RoundTripper // for steps that read slowly; nil takes the user's
}

// connect attaches all users to base, or, when it is nil, to transports of its own: one for all, or one each. It returns
// what closes their connections.
func (x *exchange) connect(ctx context.Context, base http.RoundTripper, perUser bool) (closes []func()) {
	own := func(conns int) http.RoundTripper {
		t := newTransport(conns)
		closes = append(closes, t.CloseIdleConnections)
		return t
	}
	if base == nil && slices.ContainsFunc(x.users[0].run.scn.steps, func(st *Step) bool { return st.Slow != nil }) {
		t := newSlowTransport(len(x.users))
		x.slow = t
		closes = append(closes, t.CloseIdleConnections)
	}
	if base == nil && !perUser {
		base = own(len(x.users))
	}
	for _, u := range x.users {
		transport := base
		if transport == nil {
			transport = own(1)
		}
		x.attach(ctx, u, transport)
	}
	return closes
}

// attach gives u its context and its transport.
func (x *exchange) attach(ctx context.Context, u *user, transport http.RoundTripper) {
	u.transport = transport
	u.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			u.call.conns++
			if !info.Reused {
				x.opened.Add(1)
			}
		},
	})
}

// RoundTrip implements http.RoundTripper. The answer it returns has a status and nothing else, because all that matters
// is in the call; without a Location no client follows a redirect, which would be a second request in the first one's time.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	slot, err := strconv.Atoi(req.URL.Fragment)
	if err != nil || slot >= len(x.users) {
		return nil, errors.New("the request does not name its user")
	}
	u := x.users[slot]
	delete(req.Header, "X-Vegeta-Seq") // the server is to see what the scenario says and nothing else
	ctx, cancel := context.WithTimeout(u.ctx, u.call.step.Timeout)
	defer cancel()
	transport := u.transport
	if u.call.step.Slow != nil && x.slow != nil {
		transport = x.slow
	}
	answer, err := transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		x.failed(u, err, false)
		return nil, err
	}
	defer answer.Body.Close()
	x.receive(ctx, u, incoming{
		status: answer.StatusCode, events: isEvents(answer.Header.Get("Content-Type")), body: answer.Body,
	})
	return &http.Response{StatusCode: answer.StatusCode, Status: answer.Status, Body: http.NoBody, Request: req}, nil
}

// An incoming is an answer whose head was read, and whose body was not.
type incoming struct {
	status int
	events bool // server-sent events
	body   io.Reader
}

func isEvents[T string | []byte](contentType T) bool {
	return strings.HasPrefix(string(contentType), "text/event-stream")
}

// receive reads the body of an answer to its end and sets the call. Every answer comes by here, whichever way its request
// went. ctx ends the pauses of a slow reader.
func (x *exchange) receive(ctx context.Context, u *user, a incoming) {
	st := u.call.step
	if st.Slow != nil {
		a.body = st.Slow.reads(ctx, io.NopCloser(a.body), st.Stream != nil)
	}
	switch {
	case st.Stream != nil:
		x.readStream(u, a)
	case len(st.reads) == 0:
		size, err := io.Copy(io.Discard, a.body)
		x.finished(u, a.status, nil, size, err)
	default:
		x.readWhole(u, a)
	}
}

// readWhole keeps the answer while its fields are read.
func (x *exchange) readWhole(u *user, a incoming) {
	room, _ := x.bodies.Get().(*[]byte)
	if room == nil {
		fresh := make([]byte, 0, 16<<10)
		room = &fresh
	}
	body, err := appendAll((*room)[:0], a.body, maxAnswer)
	x.finished(u, a.status, body, int64(len(body)), err)
	if cap(body) <= 1<<20 { // a rare large answer must not stay in memory for the rest of the run
		*room = body
		x.bodies.Put(room)
	}
}

// errTooLarge says that an answer is above maxAnswer.
var errTooLarge = errors.New("the answer has more than 16 MiB, too many to read its fields")

func appendAll(dst []byte, r io.Reader, most int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		case len(dst) > most:
			return dst, errTooLarge
		}
	}
}

// finished ends a call whose answer was read as far as err tells.
func (x *exchange) finished(u *user, status int, body []byte, size int64, err error) {
	if err != nil {
		x.failed(u, err, true)
		u.call.bytes = size
		return
	}
	u.call.answered = x.clock()
	u.judge(status, body, size)
	if slow := u.call.step.Slow; u.call.kind == OK && slow != nil && slow.Refused {
		u.call.kind, u.call.detail = WrongAnswer, "the slow reader got all of its answer, slow_reader says that it is refused"
	}
	if slow := u.call.step.SlowAfter; u.call.kind == OK && slow > 0 && u.call.answered-u.call.due > slow {
		u.call.kind, u.call.detail = Slow, "answered after more than "+slow.String()
	}
}

// failed ends a call that has no whole answer.
func (x *exchange) failed(u *user, err error, answered bool) {
	u.call.answered = x.clock()
	u.call.kind, u.call.detail = kindOfError(err, answered), withoutAddresses(err)
	switch {
	case u.ctx.Err() != nil: // the run has ended, for whatever cause
		u.call.kind = Canceled
	case errors.Is(err, errTooLarge):
		u.call.kind = TooLarge
	case answered:
		u.call.kind = u.call.step.brokenOff(u.call.kind)
	}
}

// withoutAddresses is the text of an error without the port of its own side, which differs each time and says nothing.
func withoutAddresses(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Source != nil {
		return strings.Replace(err.Error(), op.Source.String()+"->", "", 1)
	}
	return err.Error()
}

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// The stages of a server's life, in their order.
const (
	stageServing int32 = iota
	stageLeaving       // readiness says 503; connections are still accepted
	stageClosed        // the listener is closed; answers carry Connection: close
	stageStopped       // only requests in flight are finished
)

var errDrained = errors.New("server stopped before the request was done")

// departure is what a drain takes down.
type departure struct {
	api       *http.Server
	listener  *listener
	accepting <-chan struct{} // closed when api no longer accepts
	cut       context.CancelCauseFunc

	operator *http.Server
	admin    net.Listener // nil without one
}

// yieldAdmin leaves the admin listener's socket to the successor, which accepts from it too: a
// scraper that met now this process and now that one would take the older counts for a leap of
// the younger. Its connections end with their next answer.
func (d departure) yieldAdmin() error {
	if d.admin == nil {
		return nil
	}
	d.operator.SetKeepAlivesEnabled(false)
	if err := d.admin.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the admin listener: %w", err)
	}
	return nil
}

// drain leaves in the order that loses no request: readiness turns to 503 at once, so that a
// load balancer looks elsewhere; the listener stays open for ShutdownDelay, because it goes on
// sending until it has looked; then the listener closes and, for DrainGrace, every answer tells its client that
// the connection ends. Only then comes Shutdown: net/http drops a request that it reads after
// Shutdown began (golang/go#75591), so clients that reuse a connection must have learned before.
// What runs after DrainTimeout is cut. Where a successor accepts from the same
// socket, or will, the first step falls away. Streams, which may take long, are refused
// once the listener is closed; after a hand-over they are taken through the grace, for a client that keeps
// its connection must notice nothing.
func (s *Server) drain(ctx context.Context, d departure) error {
	s.handed.Store(errors.Is(context.Cause(ctx), ErrHandedOver))
	s.log.Info("draining", "in_flight", s.inFlight.now.Load(), "connections", s.connections(), "handed_over", s.handed.Load())
	if s.deps.Leaving != nil {
		s.deps.Leaving()
	}
	succession := s.handed.Load() || s.restarting.Load() && s.deps.Succession
	if !succession {
		s.stage.Store(stageLeaving)
		wait(s.cfg.ShutdownDelay)
	}
	s.stage.Store(stageClosed)
	if succession {
		if err := d.yieldAdmin(); err != nil {
			s.log.Error("admin listener not left to the successor", "error", err)
		}
	}
	if !s.handed.Load() {
		s.streams.close()
	}
	if err := d.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return errors.Join(fmt.Errorf("close the API's listener: %w", err), d.api.Close())
	}
	<-d.accepting // a connection accepted last is counted now
	s.graceful(s.cfg.DrainGrace)
	s.stage.Store(stageStopped)
	s.streams.close()

	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
	defer cancel()
	err := d.api.Shutdown(bounded)
	if err == nil {
		s.log.Info("drained")
		return nil
	}
	left := s.inFlight.now.Load()
	d.cut(errDrained)
	s.streams.wait(streamCutTime) // for their last records, before their connections close
	err = errors.Join(fmt.Errorf("finish %d requests within %v (--drain-timeout): %w", left, s.cfg.DrainTimeout, err), d.api.Close())
	s.inFlight.wait(cutTime)
	return err
}

// cutTime is how long requests may take to notice that they were cut, and streamCutTime how long
// streams may take to tell their clients.
const (
	cutTime       = 2 * time.Second
	streamCutTime = time.Second
)

// graceful lets connections end by themselves for at most d; with none left there is nothing to wait for.
func (s *Server) graceful(d time.Duration) {
	const look = 10 * time.Millisecond
	end := time.Now().Add(d)
	for s.connections() > 0 {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		wait(min(left, look))
	}
}

func wait(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}

// flights counts the requests being answered.
type flights struct {
	now   atomic.Int64
	ended chan struct{} // holds a token when the count fell to 0
}

func (f *flights) begin() { f.now.Add(1) }

func (f *flights) end() {
	if f.now.Add(-1) == 0 {
		select {
		case f.ended <- struct{}{}:
		default: // a token is there already
		}
	}
}

// wait returns when no request is being answered, or after d.
func (f *flights) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for f.now.Load() > 0 {
		select {
		case <-f.ended:
		case <-timer.C:
			return
		}
	}
}

package server

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// deaf is a listener whose accept loop never turns once it has been entered.
type deaf struct {
	net.Listener
	entered chan struct{}
}

func (d deaf) Accept() (net.Conn, error) {
	close(d.entered)
	for {
		c, err := d.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err == nil {
			_ = c.Close()
		}
	}
}

func (d deaf) SetDeadline(time.Time) error { return nil }

func TestSelfCheck(t *testing.T) {
	if err := newServer(t, testConfig(), Deps{Library: echo()}).SelfCheck(t.Context()); err == nil {
		t.Error("a server that does not run finds itself well")
	}
	cfg := testConfig()
	cfg.MaxConnections, cfg.DrainGrace, cfg.Streams.Slots = 1, 0, 0
	r := run(t, cfg, Deps{Library: echo()})
	check := func(why string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for range 20 { // the loop must come back to where it was
			if err := r.SelfCheck(ctx); err != nil {
				t.Fatalf("%s: %v", why, err)
			}
		}
	}
	check("idle")
	c := client(t)
	if code, _ := status(t, c, r.url+"/api/search?q=a"); code != 200 {
		t.Fatalf("%d", code)
	}
	check("with every connection taken")
	c.CloseIdleConnections()
	if code, _ := status(t, c, r.url+"/api/search?q=a"); code != 200 {
		t.Errorf("a client after the checks: %d", code)
	}
	if n := r.connections(); n > 1 {
		t.Errorf("%d connections: the checks count as clients", n)
	}
	c.CloseIdleConnections()
	r.stop()
	if err := r.ended(t); err != nil {
		t.Error(err)
	}
	check("after the drain, which has bounds of its own")
}

func TestSelfCheckFindsADeafServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	r := run(t, testConfig(), Deps{Library: echo(), Listener: deaf{l, entered}})
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.SelfCheck(ctx); err == nil || !strings.Contains(err.Error(), "check the server") {
		t.Errorf("a server that accepts nobody: %v", err)
	}
	if err := r.SelfCheck(ctx); !errors.Is(err, errProbeWaits) {
		t.Errorf("the check after it: %v, want %v at once", err, errProbeWaits)
	}
}

// Where another process accepts from the same socket, leaving takes no delay and turns no probe away.
func TestDrainAfterAHandOver(t *testing.T) {
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lib, entered, release := held()
	cfg := testConfig()
	cfg.ShutdownDelay, cfg.DrainGrace = 10*time.Minute, 300*time.Millisecond
	ready, left := make(chan struct{}), make(chan struct{}, 2)
	s := newServer(t, cfg, Deps{
		Library: lib, Listener: public, AdminListener: admin,
		Ready:   func(net.Addr, net.Addr) { close(ready) },
		Leaving: func() { left <- struct{}{} },
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-ready
	kept, url := client(t), "http://"+public.Addr().String()
	if code, _ := status(t, kept, url+"/api/health/ready"); code != 200 {
		t.Fatalf("ready at first: %d", code)
	}
	if code, _ := status(t, client(t), "http://"+admin.Addr().String()+"/health"); code != 200 {
		t.Errorf("the admin listener given: %d", code)
	}
	go func() { status(t, client(t), url+"/api/search?q=held") }()
	<-entered
	cancel(ErrHandedOver)
	eventually(t, "the listener is closed without the delay", func() bool { return s.stage.Load() == stageClosed })
	if code, closes := status(t, kept, url+"/api/health/ready"); code != 200 || !closes {
		t.Errorf("readiness on a kept connection: %d, connection closed %t", code, closes)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(left) != 1 {
		t.Errorf("Leaving was called %d times", len(left))
	}
}

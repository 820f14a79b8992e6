package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

// The ends of streams, as a client sees them on its connection.

// A stream that runs when the server leaves is finished.
func TestFaultStreamsFinishInADrain(t *testing.T) {
	release := make(chan struct{})
	until := answers(func(_ context.Context, _ answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
		<-release
		return answer.Result{}, emit(answer.Piece{Text: "so it is"})
	})
	cfg := streamConfig(1)
	cfg.Streams.Wait = time.Minute
	r := run(t, cfg, Deps{Library: echo(), Answerer: until})
	conn := r.streams(t, 1, getStream)[0]
	r.active(t, 1)
	_, waiting := raw(t, r.url, getStream)
	eventually(t, "one waits", func() bool { return r.Server.streams.report().Waiting == 1 })
	r.stop()
	if res, err := http.ReadResponse(waiting, nil); err != nil || res.StatusCode != 503 {
		t.Errorf("who waits for a slot: %v %v", res, err)
	}
	close(release)
	if err := r.ended(t); err != nil {
		t.Error(err)
	}
	text, clean, err := rest(conn)
	if !clean || err != nil || !bytes.Contains(text, []byte(`{"status":"complete"`)) {
		t.Errorf("%v, clean %t: %s", err, clean, text)
	}
}

// One that is not done in time is told so, and one that does not listen is never ended as if it were whole.
func TestFaultDrainCutsStreams(t *testing.T) {
	cfg := streamConfig(3)
	cfg.DrainTimeout = 300 * time.Millisecond
	water := new(flood)
	either := answers(func(ctx context.Context, r answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
		if r.Query == "flood" {
			return water.Answer(ctx, r, emit)
		}
		return idle(ctx, r, emit)
	})
	r := run(t, cfg, Deps{Library: echo(), Answerer: either})
	listens := r.streams(t, 1, getStream)[0]
	stalled := r.streams(t, 1, strings.Replace(getStream, "q=a", "q=flood", 1))[0]
	r.active(t, 2)
	eventually(t, "the flood stands", func() bool {
		at := water.bytes.Load()
		<-time.After(50 * time.Millisecond)
		return at > 0 && at == water.bytes.Load()
	})
	r.stop()
	if err := r.ended(t); err == nil || !strings.Contains(err.Error(), "--drain-timeout") {
		t.Errorf("Run: %v", err)
	}
	text, clean, err := rest(listens)
	if !clean || err != nil || !bytes.Contains(text, []byte(`{"status":"error","error":"draining","detail":"this server is leaving`)) {
		t.Errorf("who listens: %v, clean %t: %s", err, clean, text)
	}
	if text, clean, err = rest(stalled); clean || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("who does not: %v, clean %t: %.80q", err, clean, text[max(0, len(text)-80):])
	}
	if s := r.Server.streams.report(); s.Active != 0 || s.Failed != 1 || s.Completed != 0 {
		t.Errorf("%+v", s)
	}
}

// A panic in the middle of a stream breaks it off; the server goes on.
func TestFaultPanics(t *testing.T) {
	lib := echo()
	found := lib.search
	lib.search = func(ctx context.Context, sc store.Scope, r library.SearchRequest) (library.SearchResult, error) {
		if r.Query == "early" {
			panic("in the search")
		}
		return found(ctx, sc, r)
	}
	var panics atomic.Int64
	late := answers(func(_ context.Context, r answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
		err := emit(answer.Piece{Text: "so"})
		if r.Query == "late" {
			panics.Add(1)
			panic("in the answer")
		}
		return answer.Result{}, err
	})
	r := run(t, streamConfig(2), Deps{Library: lib, Answerer: late})
	c := client(t)
	for _, path := range []string{"/api/search?q=early", streamPath + "?q=early"} {
		res, err := c.Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if id := res.Header.Get("X-Request-Id"); res.StatusCode != 500 || id == "" || !strings.Contains(string(body), `"request_id":"`+id+`"`) {
			t.Errorf("%s: %d %v: %s", path, res.StatusCode, res.Header, body)
		}
	}
	for range 5 { // more often than there are slots
		conn, _ := raw(t, r.url, "")
		_, _ = io.WriteString(conn, strings.Replace(getStream, "q=a", "q=late", 1))
		text, clean, err := rest(conn)
		if clean || bytes.Contains(text, []byte(streamComplete)) || bytes.Contains(text, []byte(streamError)) {
			t.Errorf("a clean end (%v): %s", err, text)
		}
	}
	if panics.Load() != 5 {
		t.Errorf("%d streams panicked, want 5", panics.Load())
	}
	r.active(t, 0)
	if s := r.Server.streams.report(); s.Started != 5 || s.Failed != 5 {
		t.Errorf("%+v", s)
	}
	for i := range 1000 {
		path := []string{"/api/search?q=a", streamPath + "?q=a"}[i%2]
		res, err := c.Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || err != nil || i%2 == 1 && !bytes.Contains(body, []byte(`{"status":"complete"`)) {
			t.Fatalf("call %d afterwards, %s: %d %v: %s", i, path, res.StatusCode, err, body)
		}
	}
}

// A client that has closed its sending side cannot be told from one that is gone. Should it
// still read, it must not take what it got for whole.
func TestFaultHalfClosedClients(t *testing.T) {
	r := run(t, streamConfig(1), Deps{Library: echo(), Answerer: idle})
	conn := r.streams(t, 1, getStream)[0]
	r.active(t, 1)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	text, clean, err := rest(conn)
	if clean || err == nil || bytes.Contains(text, []byte(streamComplete)) {
		t.Errorf("%v, clean %t: %s", err, clean, text)
	}
	if s := r.Server.streams.report(); s.ClientGone != 1 || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
}

// A client of HTTP/1.0 knows no chunks: the end of the connection ends its stream, and the last
// record tells whether it is whole.
func TestStreamsWithoutChunks(t *testing.T) {
	r := run(t, streamConfig(1), Deps{Library: echo()})
	conn, _ := raw(t, r.url, "GET "+streamPath+"?q=a HTTP/1.0\r\n\r\n")
	text, err := io.ReadAll(conn)
	_, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	got, bad := readRecords(body)
	if err != nil || bad != nil || got[len(got)-1].Status != streamComplete {
		t.Errorf("%v %v: %s", err, bad, text)
	}
}

// A stream may outlive the server's time for writing an answer, and its connection serves on.
func TestStreamsOutliveTheWriteTimeout(t *testing.T) {
	cfg := streamConfig(1)
	cfg.RequestTimeout, cfg.ReadTimeout, cfg.WriteTimeout = 100*time.Millisecond, 150*time.Millisecond, 200*time.Millisecond
	slow := answers(func(_ context.Context, _ answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
		<-time.After(2 * cfg.WriteTimeout)
		return answer.Result{}, emit(answer.Piece{Text: "so it is"})
	})
	r := run(t, cfg, Deps{Library: echo(), Answerer: slow})
	conn, in := raw(t, r.url, "")
	for range 3 {
		if _, err := io.WriteString(conn, postStream); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if got, bad := readRecords(body); err != nil || bad != nil || got[len(got)-1].Status != streamComplete {
			t.Fatalf("%v %v: %s", err, bad, body)
		}
	}
}

package identity

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The server starts while the key URL is down, says so at once instead of waiting, and recovers by itself.
func TestDownAtStart(t *testing.T) {
	key := keyA()
	synctest.Test(t, func(t *testing.T) {
		s := serve(map[string]*rsa.PrivateKey{"a": key}, "3600")
		s.err = errors.New("connection refused")
		var log journal
		f := newFirebase(t, s, func(c *FirebaseConfig) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		stop := start(t, f)
		defer stop()
		token := signed(key, "a", goodClaims("ann"))
		begin, before := time.Now(), s.count()
		for range 100 {
			e := wantCode(t, "down", f, bearing(token), "", KeysUnavailable)
			if e.RetryAfter < time.Second || e.RetryAfter > lastRetry || !errors.Is(e, s.err) {
				t.Fatalf("retry after %v, cause %v", e.RetryAfter, errors.Unwrap(e))
			}
		}
		if time.Since(begin) != 0 || s.count() != before {
			t.Errorf("100 requests waited %v and made %d fetches, want none", time.Since(begin), s.count()-before)
		}
		time.Sleep(10 * time.Minute)
		if n := s.count(); n < 20 || n > 35 {
			t.Errorf("%d fetches in 10 min of outage, want about one in 30 s", n)
		}
		s.set(func(s *keyServer) { s.err = nil })
		time.Sleep(lastRetry)
		synctest.Wait()
		wantCode(t, "up again", f, bearing(token), "ann", "")
		if got := log.String(); strings.Count(got, "cannot be fetched") != 1 || strings.Count(got, "keys fetched") != 1 || strings.Count(got, "\n") != 2 {
			t.Errorf("want one line for the outage and one for its end:\n%s", got)
		}
	})
}

// Without Run, requests fetch: one for all of them, and not again before the back-off has passed.
func TestLazily(t *testing.T) {
	key := keyA()
	synctest.Test(t, func(t *testing.T) {
		s := serve(map[string]*rsa.PrivateKey{"a": key}, "3600")
		s.delay = time.Second
		f := newFirebase(t, s, nil)
		token := signed(key, "a", goodClaims("ann"))
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { wantCode(t, "at once", f, bearing(token), "ann", "") })
		}
		wg.Wait()
		if s.count() != 1 {
			t.Errorf("%d fetches, want 1", s.count())
		}
		time.Sleep(time.Hour)
		wantCode(t, "after the max-age", f, bearing(signed(key, "a", goodClaims("bob"))), "bob", "")
		if s.count() != 2 {
			t.Errorf("%d fetches, want 2: another one when the max-age has passed", s.count())
		}
	})
}

// A request that leaves takes neither the fetch with it nor waits for another's.
func TestCallersThatLeave(t *testing.T) {
	key := keyA()
	synctest.Test(t, func(t *testing.T) {
		s := serve(map[string]*rsa.PrivateKey{"a": key}, "3600")
		s.delay = 3 * time.Second
		f := newFirebase(t, s, nil)
		token := signed(key, "a", goodClaims("ann"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { f.Identify(bearing(token).WithContext(ctx)) }) // makes the fetch
		synctest.Wait()
		wg.Go(func() {
			begin := time.Now()
			wantCode(t, "leaves", f, bearing(token).WithContext(ctx), "", KeysUnavailable)
			if waited := time.Since(begin); waited != time.Second {
				t.Errorf("waited %v beyond its context", waited)
			}
		})
		wg.Go(func() { wantCode(t, "stays", f, bearing(token), "ann", "") })
		wg.Wait()
		if s.count() != 1 {
			t.Errorf("%d fetches, want 1", s.count())
		}
	})
}

func TestHungKeyURL(t *testing.T) {
	key := keyA()
	synctest.Test(t, func(t *testing.T) {
		s := serve(map[string]*rsa.PrivateKey{"a": key}, "3600")
		s.delay = time.Hour
		f := newFirebase(t, s, nil)
		begin := time.Now()
		wantCode(t, "hung", f, bearing(signed(key, "a", goodClaims("ann"))), "", KeysUnavailable)
		if waited := time.Since(begin); waited != fetchTimeout {
			t.Errorf("waited %v, want %v", waited, fetchTimeout)
		}
		begin = time.Now()
		wantCode(t, "hung, again", f, bearing(signed(key, "a", goodClaims("ann"))), "", KeysUnavailable)
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("the next request waited %v, want none", waited)
		}
	})
}

func TestMaxAge(t *testing.T) {
	key := keyA()
	synctest.Test(t, func(t *testing.T) {
		s := serve(map[string]*rsa.PrivateKey{"a": key}, "20000")
		f := newFirebase(t, s, nil)
		stop := start(t, f)
		defer stop()
		time.Sleep(20000*time.Second*8/10 - time.Second)
		if s.count() != 1 {
			t.Errorf("%d fetches before 80%% of the max-age, want 1", s.count())
		}
		time.Sleep(20000 * time.Second / 10)
		synctest.Wait()
		if s.count() != 2 {
			t.Errorf("%d fetches after 90%% of the max-age, want 2", s.count())
		}
	})
}

// The key URL goes down in service: the keys serve out their max-age and the grace, and not longer; remembered tokens stay good.
func TestGrace(t *testing.T) {
	key := keyA()
	synctest.Test(t, func(t *testing.T) {
		s := serve(map[string]*rsa.PrivateKey{"a": key}, "3600")
		f := newFirebase(t, s, func(c *FirebaseConfig) { c.KeyGrace = 2 * time.Hour })
		stop := start(t, f)
		defer stop()
		s.set(func(s *keyServer) { s.status = 500 })
		fresh := func() string { return signed(key, "a", goodClaims("ann")) }
		time.Sleep(3*time.Hour - time.Second)
		remembered := fresh()
		wantCode(t, "within the grace", f, bearing(remembered), "ann", "")
		wantCode(t, "a token by an unknown key may be good", f, bearing(signed(keyB(), "b", goodClaims("bob"))), "", KeysUnavailable)
		time.Sleep(time.Second)
		wantCode(t, "after the grace", f, bearing(signed(key, "a", goodClaims("eve"))), "", KeysUnavailable)
		wantCode(t, "remembered", f, bearing(remembered), "ann", "")
		s.set(func(s *keyServer) { s.status = 0 })
		time.Sleep(lastRetry)
		synctest.Wait()
		wantCode(t, "up again", f, bearing(fresh()), "ann", "")
	})
}

// Whatever is sent, forged key ids cost the key URL one fetch in 30 s, and a new key is known 30 s later at the latest.
func TestForgedKeysDoNotHammer(t *testing.T) {
	a, b := keyA(), keyB()
	synctest.Test(t, func(t *testing.T) {
		s := serve(map[string]*rsa.PrivateKey{"a": a}, "86400")
		f := newFirebase(t, s, nil)
		stop := start(t, f)
		defer stop()
		claims := goodClaims("eve")
		for i := range 600 { // 60 s
			wantCode(t, "forged", f, bearing(signed(b, fmt.Sprint("forged", i), claims)), "", TokenSignature)
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.count(); n != 3 {
			t.Errorf("%d fetches, want 3: the first, and one in 30 s", n)
		}
		s.set(func(s *keyServer) { s.keys["b"] = b })
		f.Identify(bearing(signed(b, "forged", claims))) // takes the one fetch
		time.Sleep(unknownKeyGap)
		wantCode(t, "a new key amid forgeries", f, bearing(signed(b, "b", goodClaims("bob"))), "bob", "")
	})
}

func TestKeyLife(t *testing.T) {
	f := func(why string, want time.Duration, header ...string) {
		t.Helper()
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Add(header[i], header[i+1])
		}
		if got := keyLife(h); got != want {
			t.Errorf("%s: %v, want %v", why, got, want)
		}
	}
	f("Google's", 19204*time.Second, "Cache-Control", "public, max-age=19204, must-revalidate, no-transform")
	f("less its age", 5*time.Hour, "Cache-Control", "max-age=21600", "Age", "3600")
	f("no header", time.Hour)
	f("case and quotes", 2*time.Hour, "Cache-Control", `PUBLIC, Max-Age="7200"`)
	f("too short would fetch too often", time.Minute, "Cache-Control", "max-age=1")
	f("none", time.Minute, "Cache-Control", "no-store, max-age=3600")
	f("too long would keep a withdrawn key", 24*time.Hour, "Cache-Control", "max-age=99999999")
	f("beyond 64 bits", 24*time.Hour, "Cache-Control", "max-age=99999999999999999999999")
	f("no number", time.Minute, "Cache-Control", "max-age=soon")
	f("older than it may get", time.Minute, "Cache-Control", "max-age=3600", "Age", "999999")
	f("another directive's number", time.Hour, "Cache-Control", "s-maxage=10")
}

// Answers that hold no key leave the old keys in place.
func TestBadAnswers(t *testing.T) {
	key := keyA()
	f := func(why string, change func(*keyServer)) {
		t.Run(why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(map[string]*rsa.PrivateKey{"a": key}, "3600")
				v := newFirebase(t, s, nil)
				wantCode(t, "before", v, bearing(signed(key, "a", goodClaims("ann"))), "ann", "")
				s.set(change)
				time.Sleep(time.Hour)
				wantCode(t, "after", v, bearing(signed(key, "a", goodClaims("bob"))), "bob", "")
				if st := v.Stats(); st.KeyFetchFaults != 1 || st.Keys != 1 {
					t.Errorf("stats: %+v", st)
				}
			})
		})
	}
	f("status 404", func(s *keyServer) { s.status = 404 })
	f("no JSON", func(s *keyServer) { s.body = []byte("<html>") })
	f("no keys", func(s *keyServer) { s.body = []byte("{}") })
	f("an empty set", func(s *keyServer) { s.body = []byte(`{"keys":[]}`) })
	f("keys that are no list", func(s *keyServer) { s.body = []byte(`{"keys":7}`) })
	f("only weak keys", func(s *keyServer) { s.keys = map[string]*rsa.PrivateKey{"a": weak()} })
	f("endless", func(s *keyServer) { s.body = append(s.encode(), bytes.Repeat([]byte(" "), maxKeyBody)...) })
}

// Over a real network: a closed port at first, then a server on it.
func TestRealKeyServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	f := newFirebase(t, transport, func(c *FirebaseConfig) { c.KeyURL = "http://" + addr + "/keys" })
	token := signed(keyA(), "a", goodClaims("ann"))
	wantCode(t, "nobody listens", f, bearing(token), "", KeysUnavailable)

	s := serve(map[string]*rsa.PrivateKey{"a": keyA()}, "3600")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", s.header.Get("Cache-Control"))
		w.Write(s.encode())
	}))
	if server.Listener, err = net.Listen("tcp", addr); err != nil {
		t.Skip("SKIPPED: another process took the port: ", err)
	}
	server.Start()
	defer server.Close()
	f.keys.mu.Lock()
	f.keys.retry = time.Time{} // the back-off has passed
	f.keys.mu.Unlock()
	wantCode(t, "it does now", f, bearing(token), "ann", "")
	if st := f.Stats(); st.Keys != 1 || st.KeyFetches != 2 || st.KeyFetchFaults != 1 {
		t.Errorf("stats: %+v", st)
	}
}

func TestLedAwayFromHTTPS(t *testing.T) {
	s := serve(map[string]*rsa.PrivateKey{"a": keyA()}, "3600")
	f := newFirebase(t, redirected{s}, nil)
	wantCode(t, "keys over plain http", f, bearing(signed(keyA(), "a", goodClaims("ann"))), "", KeysUnavailable)
}

// redirected answers as if the client had followed a redirect to plain http.
type redirected struct{ *keyServer }

func (s redirected) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.keyServer.RoundTrip(r)
	if resp != nil {
		resp.Request = httptest.NewRequest("GET", "http://keys.example/", nil)
	}
	return resp, err
}

func TestParseKeysSkipsWhatCannotSign(t *testing.T) {
	s := serve(map[string]*rsa.PrivateKey{"good": keyA(), "weak": weak(), "": keyB(), strings.Repeat("k", 257): keyB()}, "1")
	for _, s.jwks = range []bool{false, true} {
		keys, err := parseKeys(s.encode())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for id := range keys {
			got = append(got, id)
		}
		if diff := cmp.Diff([]string{"good"}, got); diff != "" {
			t.Error(diff)
		}
	}
}

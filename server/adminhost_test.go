package server

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A page of another name that leads to a loopback address reads nothing and changes nothing.
func TestAdminHosts(t *testing.T) {
	h := openHouse(t, 1, 10, cached)
	admin := newServer(t, testConfig(), h.deps()).AdminHandler()
	f := func(local, host string, want int) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/health", http.NoBody)
		r.Host = host
		if local != "" {
			addr, err := net.ResolveTCPAddr("tcp", local)
			if err != nil {
				t.Fatal(err)
			}
			r = r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, addr))
		}
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s asked for %q: %d, want %d", local, host, w.Code, want)
		}
	}
	f("127.0.0.1:5002", "127.0.0.1:5002", 200)
	f("127.0.0.1:5002", "localhost", 200)
	f("127.0.0.1:5002", "LocalHost.:5002", 200)
	f("[::1]:5002", "[::1]:5002", 200)
	f("[::1]:5002", "[::1]", 200)
	f("127.0.0.1:5002", "evil.example:5002", 421)
	f("127.0.0.1:5002", "127.0.0.1.evil.example", 421)
	f("127.0.0.1:5002", "", 421)
	f("[::1]:5002", "10.0.0.1", 421)
	f("10.0.0.7:5002", "tomehub:5002", 200)
	f("", "anything", 200) // embedded, without a listener
}

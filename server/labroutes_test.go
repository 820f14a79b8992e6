package server

import (
	"strings"
	"testing"

	"github.com/tomehub/tomehub/server/lab"
)

// Faults can be put in on a server for load tests, and on no other.
func TestLabRoutes(t *testing.T) {
	plain := newServer(t, testConfig(), Deps{Library: echo()})
	for _, r := range []string{"GET /lab", "PUT /lab/fault/database_down", "DELETE /lab/fault/database_down"} {
		method, path, _ := strings.Cut(r, " ")
		if w := ask(t, plain.AdminHandler(), method, path, ""); w.Code != 404 {
			t.Errorf("%s without a lab: %d %s", r, w.Code, w.Body)
		}
	}
	l, err := lab.New(lab.Config{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	l.Start()
	s := newServer(t, testConfig(), Deps{Library: echo(), Lab: l})
	admin := s.AdminHandler()
	for h, path := range map[bool]string{true: "/api/health", false: "/health"} {
		handler := admin
		if h {
			handler = s.Handler()
		}
		if got := decoded[struct{ Lab bool }](t, ask(t, handler, "GET", path, "")); !got.Lab {
			t.Errorf("%s does not say that this is a lab", path)
		}
	}
	f := func(method, path, body string, status int, faults int) {
		t.Helper()
		w := ask(t, admin, method, path, body)
		got := decoded[struct {
			Error string
			State lab.State
		}](t, w)
		if w.Code != status || len(got.State.Faults) != faults || (status == 200) != (got.Error == "") {
			t.Errorf("%s %s %s: %d %s", method, path, body, w.Code, w.Body)
		}
	}
	f("GET", "/lab", "", 200, 0)
	f("PUT", "/lab/fault/database_down", `{"for":"10m"}`, 200, 1)
	f("PUT", "/lab/fault/database_down", `{"for":"1h"}`, 400, 0)
	f("PUT", "/lab/fault/fire", `{"for":"1s"}`, 404, 0)
	f("DELETE", "/lab/fault/fire", "", 404, 0)
	f("GET", "/lab", "", 200, 1)
	f("DELETE", "/lab/fault/database_down", "", 200, 0)
	// A page in the operator's browser must not do it.
	if w := ask(t, admin, "PUT", "/lab/fault/database_down", `{"for":"1s"}`, "Sec-Fetch-Site", "cross-site"); w.Code != 403 {
		t.Errorf("from another site: %d", w.Code)
	}
}

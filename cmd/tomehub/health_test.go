package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthCommand(t *testing.T) {
	draining := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/health/ready" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Write([]byte(`{"status":"` + r.URL.Path + `"}`))
	}))
	t.Cleanup(draining.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	f := func(code int, says string, args ...string) {
		t.Helper()
		var out, errs strings.Builder
		a := &app{stdout: &out, stderr: &errs, stdin: strings.NewReader(""), lookup: func(string) (string, bool) { return "", false }}
		if got := a.run(t.Context(), append([]string{"health", "--env-file", ""}, args...)); got != code || !strings.Contains(out.String()+errs.String(), says) {
			t.Errorf("health %q: code %d, said %s%s; want %d and %q", args, got, out.String(), errs.String(), code, says)
		}
	}
	f(exitOK, `{"status":"/api/health/live"}`, "--target", draining.URL)
	f(exitError, "answers 503", "--target", draining.URL+"/", "--ready") // alive, and takes nobody
	f(exitError, "--target", "--target", gone.URL)
	port := draining.URL[strings.LastIndex(draining.URL, ":"):]
	f(exitOK, `{"status":"/api/health/live"}`, "--listen", "0.0.0.0"+port)
	f(exitUsage, "--listen 127.0.0.1:0", "--listen", "127.0.0.1:0")
	f(exitUsage, "--target is no URL", "--target", "5001")
	f(exitUsage, "--timeout is 0s", "--target", gone.URL, "--timeout", "0s")
}

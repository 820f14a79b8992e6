package server

import (
	"testing"
)

func TestCORSIsClosedByDefault(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo()}).Handler()
	evil := []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}
	w := ask(t, s, "GET", "/api/search?q=a", "", evil...)
	if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("reading: %d %v", w.Code, w.Header())
	}
	wantError(t, ask(t, s, "POST", "/api/ingest", "{}", evil...), 403, "cross_origin", "--cors-origins")
	wantError(t, ask(t, s, "DELETE", "/api/books/1", "", evil...), 403, "cross_origin", "")
	wantError(t, ask(t, s, "POST", "/api/search", `{"q":"a"}`, "Origin", "https://evil.example"), 403, "cross_origin", "")
	wantError(t, ask(t, s, "OPTIONS", "/api/search", "", append(evil, "Access-Control-Request-Method", "POST")...), 403, "cross_origin", "evil.example")
	if w := ask(t, s, "POST", "/api/search", `{"q":"a"}`, "Origin", "http://example.com", "Sec-Fetch-Site", "same-origin"); w.Code != 200 {
		t.Errorf("same origin: %d", w.Code)
	}
}

func TestCORSOrigins(t *testing.T) {
	cfg := testConfig()
	cfg.CORSOrigins = []string{"https://app.example"}
	s := newServer(t, cfg, Deps{Library: echo()}).Handler()
	good := []string{"Origin", "https://app.example", "Sec-Fetch-Site", "cross-site"}
	w := ask(t, s, "OPTIONS", "/api/search", "", append(good, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")...)
	h := w.Header()
	if w.Code != 204 || h.Get("Access-Control-Allow-Origin") != "https://app.example" || h.Get("Access-Control-Allow-Methods") != "GET, HEAD, POST" ||
		h.Get("Access-Control-Allow-Headers") != requestHeaders[0] || h.Get("Access-Control-Max-Age") != "600" || h.Get("Vary") != "Origin" {
		t.Errorf("preflight: %d %v", w.Code, h)
	}
	w = ask(t, s, "POST", "/api/search", `{"q":"a"}`, good...)
	if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" || w.Header().Get("Access-Control-Expose-Headers") == "" || w.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("request: %d %v", w.Code, w.Header())
	}
	wantError(t, ask(t, s, "POST", "/api/search", `{"q":"a"}`, "Origin", "https://app.example.evil.example", "Sec-Fetch-Site", "cross-site"), 403, "cross_origin", "")
	wantError(t, ask(t, s, "POST", "/api/search", `{"q":"a"}`, "Origin", "http://app.example"), 403, "cross_origin", "")
	if w := ask(t, s, "GET", "/api/search?q=a", ""); w.Header().Get("Vary") != "Origin" || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without an origin: %v", w.Header())
	}

	cfg.CORSOrigins = []string{"*"}
	s = newServer(t, cfg, Deps{Library: echo()}).Handler()
	w = ask(t, s, "POST", "/api/search", `{"q":"a"}`, "Origin", "https://any.example", "Sec-Fetch-Site", "cross-site")
	if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "https://any.example" {
		t.Errorf("all origins: %d %v", w.Code, w.Header())
	}
}

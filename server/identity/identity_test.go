package identity

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func request(header ...string) *http.Request {
	r := httptest.NewRequest("POST", "/api/search", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// wantCode checks an outcome: code "" wants the owner.
func wantCode(t testing.TB, why string, v Verifier, r *http.Request, owner string, code Code) *Error {
	t.Helper()
	id, err := v.Identify(r)
	refusal, _ := errors.AsType[*Error](err)
	switch {
	case code == "" && (err != nil || id != Identity{Owner: owner}):
		t.Errorf("%s: got %+v, %v; want owner %q", why, id, err, owner)
	case code != "" && (refusal == nil || refusal.Code != code || id != Identity{}):
		t.Errorf("%s: got %+v, %v; want %s", why, id, err, code)
	}
	return refusal
}

func TestOff(t *testing.T) {
	if id, err := (Off{}).Identify(request()); err != nil || !id.Anonymous || id.Owner != "" {
		t.Errorf("no header: %+v, %v; want anonymous", id, err)
	}
	if id, err := (Off{}).Identify(request(UserHeader, "")); err != nil || !id.Anonymous {
		t.Errorf("empty header: %+v, %v; want anonymous", id, err)
	}
	wantCode(t, "a load test's user", Off{}, request(UserHeader, "user-17"), "user-17", "")
	wantCode(t, "an address", Off{}, request(UserHeader, "a.b+c@example.org"), "a.b+c@example.org", "")
	wantCode(t, "the longest", Off{}, request(UserHeader, strings.Repeat("u", 128)), strings.Repeat("u", 128), "")
	wantCode(t, "too long", Off{}, request(UserHeader, strings.Repeat("u", 129)), "", UserMalformed)
	wantCode(t, "space", Off{}, request(UserHeader, "a b"), "", UserMalformed)
	wantCode(t, "line feed", Off{}, request(UserHeader, "a\nb"), "", UserMalformed)
	wantCode(t, "beyond ASCII", Off{}, request(UserHeader, "ş"), "", UserMalformed)
	e := wantCode(t, "two", Off{}, request(UserHeader, "a", UserHeader, "b"), "", UserMalformed)
	if e.Status() != 400 || e.Challenge() != "" {
		t.Errorf("status %d, challenge %q", e.Status(), e.Challenge())
	}
}

func TestErrorsForHTTP(t *testing.T) {
	f := func(code Code, status int, challenge string) {
		t.Helper()
		e := &Error{Code: code, Message: "Why."}
		if e.Status() != status || e.Challenge() != challenge {
			t.Errorf("%s: %d %q, want %d %q", code, e.Status(), e.Challenge(), status, challenge)
		}
	}
	f(TokenMissing, 401, `Bearer realm="tomehub"`)
	f(TokenExpired, 401, `Bearer realm="tomehub", error="invalid_token", error_description="Why."`)
	f(TokenSignature, 401, `Bearer realm="tomehub", error="invalid_token", error_description="Why."`)
	f(KeysUnavailable, 503, "")
	f(UserMalformed, 400, "")
}

func TestFirebaseFaults(t *testing.T) {
	_, err := NewFirebase(FirebaseConfig{Project: "No such", KeyURL: "http://keys.example/", Skew: -1, KeyGrace: -1, MaxTokens: -1})
	for _, part := range []string{SettingProject, SettingKeyURL, SettingSkew, SettingGrace, SettingTokens, "a logger and an HTTP client"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %s", err, part)
		}
	}
	f := func(why, keyURL string, ok bool) {
		t.Helper()
		_, err := NewFirebase(FirebaseConfig{Project: "p", KeyURL: keyURL, Client: http.DefaultClient, Logger: slog.New(slog.DiscardHandler)})
		if (err == nil) != ok {
			t.Errorf("%s: %v", why, err)
		}
	}
	f("Google's", "", true)
	f("https", "https://keys.example/jwks", true)
	f("an emulator's", "http://127.0.0.1:9099/keys", true)
	f("the same by name", "http://localhost:9099/keys", true)
	f("IPv6", "http://[::1]:9099/keys", true)
	f("keys over plain http can be replaced on the way", "http://10.0.0.1/keys", false)
	f("a name that only looks local", "http://localhost.example/keys", false)
	f("no host", "https:///keys", false)
	f("a file", "file:///keys", false)
}

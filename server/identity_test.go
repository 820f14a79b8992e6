package server

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tomehub/tomehub/server/identity"
	"github.com/tomehub/tomehub/server/library"
)

// The whole chain with verified tokens: who brings ann's token is ann, whatever X-Tomehub-User says.
func TestFirebaseTokens(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	jwk := map[string]string{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1",
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": "AQAB",
	}
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		json.NewEncoder(w).Encode(map[string]any{"keys": []any{jwk}})
	}))
	t.Cleanup(keys.Close)
	verifier, err := identity.NewFirebase(identity.FirebaseConfig{
		Project: "tomehub-test", KeyURL: keys.URL, Client: keys.Client(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	token := func(user, audience string, life time.Duration) string {
		now := time.Now().Add(-time.Minute)
		claims := jwt.MapClaims{
			"iss": "https://securetoken.google.com/" + audience, "aud": audience, "sub": user,
			"iat": now.Unix(), "auth_time": now.Unix(), "exp": now.Add(life).Unix(),
		}
		unsigned := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
		unsigned.Header["kid"] = "k1"
		signed, err := unsigned.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + signed
	}
	h := openHouse(t, 0, 0, library.Config{})
	deps := h.deps()
	deps.Identity = verifier
	s := newServer(t, testConfig(), deps).Handler()
	ann, bob := token("ann", "tomehub-test", time.Hour), token("bob", "tomehub-test", time.Hour)
	if w := ask(t, s, "POST", "/api/ingest", `{"title":"Diary","text":"The quincunx is hers alone."}`, "Authorization", ann); w.Code != 201 {
		t.Fatalf("ann's ingest: %d %s", w.Code, w.Body)
	}
	f := func(why, authorization, user string, status, matches int) {
		t.Helper()
		w := ask(t, s, "GET", "/api/search?q=quincunx", "", "Authorization", authorization, "X-Tomehub-User", user)
		if w.Code != status || status == 200 && decoded[library.SearchResult](t, w).TotalCount != matches {
			t.Errorf("%s: %d %s", why, w.Code, w.Body)
		}
	}
	f("ann finds hers", ann, "bob", 200, 1)
	f("bob does not, also as ann", bob, "ann", 200, 0)
	f("another project's token", token("ann", "elsewhere", time.Hour), "ann", 401, 0)
	f("an expired token", token("ann", "tomehub-test", -time.Hour), "ann", 401, 0)
	f("no token", "", "ann", 401, 0)
	if w := ask(t, s, "GET", "/api/health/live", ""); w.Code != 200 {
		t.Errorf("health asks for a token: %d", w.Code)
	}
}

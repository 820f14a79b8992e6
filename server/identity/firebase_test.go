package identity

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestBothFormsOfKeyURL(t *testing.T) {
	for _, jwks := range []bool{false, true} {
		s := serve(map[string]*rsa.PrivateKey{"a": keyA(), "b": keyB()}, "3600")
		s.jwks = jwks
		f := newFirebase(t, s, nil)
		for range 3 {
			wantCode(t, fmt.Sprint("jwks ", jwks), f, bearing(signed(keyA(), "a", goodClaims("ann"))), "ann", "")
			wantCode(t, fmt.Sprint("jwks ", jwks), f, bearing(signed(keyB(), "b", goodClaims("bob"))), "bob", "")
		}
		if s.count() != 1 {
			t.Errorf("%d fetches, want 1", s.count())
		}
	}
}

func TestForgedTokens(t *testing.T) {
	s := serve(map[string]*rsa.PrivateKey{"a": keyA(), "weak": weak()}, "3600")
	f := newFirebase(t, s, nil)
	good := signed(keyA(), "a", goodClaims("ann"))
	parts := strings.Split(good, ".")
	public, err := x509.MarshalPKIXPublicKey(&keyA().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	other := strings.Split(signed(keyA(), "a", goodClaims("bob")), ".")
	var mine = func(why, token string, code Code) {
		t.Helper()
		if e := wantCode(t, why, f, bearing(token), "", code); e != nil && len(token) > 20 && strings.Contains(e.Error()+e.Challenge(), token[:20]) {
			t.Errorf("%s: the error holds the token", why)
		}
	}
	wantCode(t, "the original", f, bearing(good), "ann", "")
	mine("another's claims under this signature", parts[0]+"."+other[1]+"."+parts[2], TokenSignature)
	mine("signed by another key", signed(keyB(), "a", goodClaims("ann")), TokenSignature)
	mine("signed by an unknown key", signed(keyB(), "b", goodClaims("ann")), TokenSignature)
	mine("signed by a published key that is too short", signed(weak(), "weak", goodClaims("ann")), TokenSignature)
	mine("no signature", parts[0]+"."+parts[1]+".", TokenSignature)
	mine("alg none", sign(jwt.UnsafeAllowNoneSignatureType, jwt.SigningMethodNone, "a", goodClaims("ann")), TokenSignature)
	mine("HS256 keyed with the public key", sign(asPEM, jwt.SigningMethodHS256, "a", goodClaims("ann")), TokenSignature)
	mine("HS256 keyed with the certificate", sign([]byte(certificate(keyA())), jwt.SigningMethodHS256, "a", goodClaims("ann")), TokenSignature)
	mine("RS512 by the right key", sign(keyA(), jwt.SigningMethodRS512, "a", goodClaims("ann")), TokenSignature)
	mine("PS256 by the right key", sign(keyA(), jwt.SigningMethodPS256, "a", goodClaims("ann")), TokenSignature)
	raw := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1] + "." + parts[2]
	}
	mine("alg NONE", raw(`{"alg":"NONE","kid":"a"}`), TokenSignature)
	mine("alg rs256", raw(`{"alg":"rs256","kid":"a"}`), TokenSignature)
	mine("no alg", raw(`{"kid":"a"}`), TokenSignature)
	mine("a key in the token", sign(keyB(), jwt.SigningMethodRS256, "a", goodClaims("ann"), "jku", "https://evil.example/"), TokenSignature)
	mine("no key id", signed(keyA(), "", goodClaims("ann")), TokenMalformed)
	mine("a key id that is a number", raw(`{"alg":"RS256","kid":7}`), TokenMalformed)
	mine("a key id of 10 KB would be kept nowhere", signed(keyA(), strings.Repeat("k", 300), goodClaims("ann")), TokenMalformed)
	mine("critical extensions", sign(keyA(), jwt.SigningMethodRS256, "a", goodClaims("ann"), "crit", "exp"), TokenMalformed)
	mine("padding", parts[0]+"."+parts[1]+"."+parts[2]+"==", TokenMalformed)
	mine("four parts", good+".x", TokenMalformed)
	mine("two parts", parts[0]+"."+parts[1], TokenMalformed)
	mine("no JSON", "eA.eA.eA", TokenMalformed)
	mine("too long", signed(keyA(), "a", with(goodClaims("ann"), "note", strings.Repeat("n", maxToken))), TokenMalformed)
	mine("other bits after the signature's end", good[:len(good)-1]+sibling(good[len(good)-1]), TokenMalformed)
	mine("a line feed", good+"\n", TokenMalformed)
	if s.count() != 2 {
		t.Errorf("%d fetches, want 2: at first, and one for all unknown keys", s.count())
	}
}

// sibling returns another base64url digit whose first two bits are the same: all that the last digit of 256 bytes holds.
func sibling(digit byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(digits[strings.IndexByte(digits, digit)^1])
}

func TestClaims(t *testing.T) {
	f := newFirebase(t, serve(map[string]*rsa.PrivateKey{"a": keyA()}, "3600"), nil)
	check := func(why string, c jwt.MapClaims, code Code) {
		t.Helper()
		owner, _ := c["sub"].(string)
		wantCode(t, why, f, bearing(signed(keyA(), "a", c)), owner, code)
	}
	ok := func() jwt.MapClaims { return goodClaims("ann") }
	now := time.Now()
	check("as issued", ok(), "")
	check("another project", with(ok(), "aud", "other"), TokenWrongAudience)
	check("no audience", with(ok(), "aud", nil), TokenWrongAudience)
	check("the audience as a list", with(ok(), "aud", []string{project}), "")
	check("further audiences", with(ok(), "aud", []string{project, "other"}), TokenWrongAudience)
	check("an audience that is a number", with(ok(), "aud", 7), TokenMalformed)
	check("another issuer", with(ok(), "iss", "https://accounts.google.com"), TokenWrongIssuer)
	check("another project's issuer", with(ok(), "iss", "https://securetoken.google.com/other"), TokenWrongIssuer)
	check("no issuer", with(ok(), "iss", nil), TokenWrongIssuer)
	check("no user", with(ok(), "sub", nil), TokenMalformed)
	check("empty user", with(ok(), "sub", ""), TokenMalformed)
	check("longest user, in characters", with(ok(), "sub", strings.Repeat("ü", 128)), "")
	check("too long a user", with(ok(), "sub", strings.Repeat("u", 129)), TokenMalformed)
	check("a user with a line feed", with(ok(), "sub", "a\nb"), TokenMalformed)
	check("no expiry", with(ok(), "exp", nil), TokenMalformed)
	check("no issue time", with(ok(), "iat", nil), TokenMalformed)
	check("no sign-in time", with(ok(), "auth_time", nil), TokenMalformed)
	check("expiry beyond all time", with(ok(), "exp", 1e300), TokenMalformed)
	check("expiry after the year 9999", with(ok(), "exp", int64(maxTime)+1), TokenMalformed)
	check("expiry before 1970", with(ok(), "exp", -1), TokenMalformed)
	check("expiry as a string", with(ok(), "exp", "soon"), TokenMalformed)
	check("long expired", with(ok(), "exp", now.Add(-time.Hour).Unix()), TokenExpired)
	check("not before later", with(ok(), "nbf", now.Add(time.Hour).Unix()), TokenNotYetValid)
}

// In a bubble the clock stands at a whole second, so the edges are exact.
func TestSkewEdges(t *testing.T) {
	key := keyA()
	synctest.Test(t, func(t *testing.T) {
		f := newFirebase(t, serve(map[string]*rsa.PrivateKey{"a": key}, "3600"), nil)
		at := func(name string, d time.Duration, code Code) {
			t.Helper()
			c := with(goodClaims("ann"), name, time.Now().Add(d).Unix())
			wantCode(t, fmt.Sprint(name, " ", d), f, bearing(signed(key, "a", c)), "ann", code)
		}
		at("exp", -29*time.Second, "")
		at("exp", -30*time.Second, TokenExpired)
		at("iat", 30*time.Second, "")
		at("iat", 31*time.Second, TokenNotYetValid)
		at("auth_time", 30*time.Second, "")
		at("auth_time", 31*time.Second, TokenNotYetValid)
	})
}

func TestRememberedTokens(t *testing.T) {
	key := keyA()
	synctest.Test(t, func(t *testing.T) {
		s := serve(map[string]*rsa.PrivateKey{"a": key}, "86400")
		f := newFirebase(t, s, nil)
		token := signed(key, "a", goodClaims("ann"))
		for range 100 {
			wantCode(t, "valid", f, bearing(token), "ann", "")
		}
		if st := f.Stats(); st.Verified != 1 || st.Recalled != 99 || st.Tokens != 1 {
			t.Errorf("stats: %+v", st)
		}
		time.Sleep(59*time.Minute + 30*time.Second - time.Nanosecond)
		wantCode(t, "the last moment", f, bearing(token), "ann", "")
		time.Sleep(time.Nanosecond)
		wantCode(t, "remembered, but expired", f, bearing(token), "", TokenExpired)

		eternal := signed(key, "a", with(goodClaims("bob"), "exp", time.Now().Add(1000*time.Hour).Unix()))
		wantCode(t, "a long life", f, bearing(eternal), "bob", "")
		before := f.Stats().Verified
		time.Sleep(maxRemembered)
		wantCode(t, "a long life, later", f, bearing(eternal), "bob", "")
		if f.Stats().Verified != before+1 {
			t.Error("a token was believed for longer than an hour without another look")
		}
	})
}

func TestRememberedTokensAreBounded(t *testing.T) {
	tk := newTokens(320)
	now := time.Now()
	var sum tokenSum
	for i := range 10_000 {
		sum[0], sum[1], sum[2] = byte(i), byte(i>>8), byte(i>>16)
		tk.remember(sum, verifiedToken{owner: "u", until: now.Add(time.Duration(i) * time.Millisecond)}, now)
		if _, ok := tk.recall(sum, now.Add(-time.Second)); !ok {
			t.Fatal("the newest token was not remembered")
		}
	}
	if n := tk.len(); n > 320 {
		t.Errorf("%d tokens remembered, bound 320", n)
	}
}

// Withdrawing a key ends its tokens, also remembered ones; rotating in another one ends none.
func TestRotation(t *testing.T) {
	a, b := keyA(), keyB()
	synctest.Test(t, func(t *testing.T) {
		s := serve(map[string]*rsa.PrivateKey{"a": a}, "3600")
		f := newFirebase(t, s, nil)
		stop := start(t, f)
		defer stop()
		old := signed(a, "a", with(goodClaims("ann"), "exp", time.Now().Add(24*time.Hour).Unix()))
		wantCode(t, "old key", f, bearing(old), "ann", "")

		s.set(func(s *keyServer) { s.keys = map[string]*rsa.PrivateKey{"a": a, "b": b} })
		before := s.count()
		wantCode(t, "new key, before the max-age ends", f, bearing(signed(b, "b", goodClaims("bob"))), "bob", "")
		if s.count() != before+1 {
			t.Errorf("%d fetches for the new key, want 1", s.count()-before)
		}
		verified := f.Stats().Verified
		wantCode(t, "old token, remembered across the fetch", f, bearing(old), "ann", "")
		if f.Stats().Verified != verified {
			t.Error("an unchanged key lost its remembered tokens")
		}

		s.set(func(s *keyServer) { s.keys = map[string]*rsa.PrivateKey{"b": b} })
		time.Sleep(55 * time.Minute) // past the refresh, and before the token is looked at again anyway
		synctest.Wait()
		wantCode(t, "old token after its key was withdrawn", f, bearing(old), "", TokenSignature)
		wantCode(t, "new key", f, bearing(signed(b, "b", goodClaims("bob"))), "bob", "")
	})
}

// start runs f until the returned function is called.
func start(t *testing.T, f *Firebase) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestEmulator(t *testing.T) {
	f := newFirebase(t, nil, func(c *FirebaseConfig) { c.Emulator, c.Client = true, nil })
	none := func(c jwt.Claims) string { return sign(jwt.UnsafeAllowNoneSignatureType, jwt.SigningMethodNone, "", c) }
	for range 2 {
		wantCode(t, "unsigned", f, bearing(none(goodClaims("ann"))), "ann", "")
	}
	wantCode(t, "claims are checked all the same", f, bearing(none(with(goodClaims("ann"), "aud", "other"))), "", TokenWrongAudience)
	wantCode(t, "expired", f, bearing(none(with(goodClaims("ann"), "exp", 5))), "", TokenExpired)
	wantCode(t, "signed", f, bearing(signed(keyA(), "a", goodClaims("ann"))), "", TokenSignature)
	wantCode(t, "with a signature all the same", f, bearing(none(goodClaims("ann"))+"eA"), "", TokenSignature)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestAuthorizationHeader(t *testing.T) {
	f := newFirebase(t, serve(map[string]*rsa.PrivateKey{"a": keyA()}, "3600"), nil)
	good := signed(keyA(), "a", goodClaims("ann"))
	check := func(why string, code Code, header ...string) {
		t.Helper()
		wantCode(t, why, f, request(header...), "ann", code)
	}
	check("none", TokenMissing)
	check("the header of mode off means nothing", TokenMissing, UserHeader, "ann")
	check("and does not replace the token's user", "", UserHeader, "bob", "Authorization", "Bearer "+good)
	check("scheme in any case (RFC 9110)", "", "Authorization", "bEARER "+good)
	check("more spaces", "", "Authorization", "Bearer   "+good+" ")
	check("another scheme", TokenMissing, "Authorization", "Basic dTpw")
	check("no scheme", TokenMissing, "Authorization", good)
	check("no token", TokenMissing, "Authorization", "Bearer ")
	check("two headers", TokenMalformed, "Authorization", "Bearer "+good, "Authorization", "Bearer "+good)
	check("two tokens", TokenMalformed, "Authorization", "Bearer "+good+" "+good)
	st := f.Stats()
	if st.Refused[TokenMissing] != 5 || st.Refused[TokenMalformed] != 2 {
		t.Errorf("refusals counted: %v", st.Refused)
	}
}

func TestManyCallers(t *testing.T) {
	s := serve(map[string]*rsa.PrivateKey{"a": keyA()}, "3600")
	f := newFirebase(t, s, func(c *FirebaseConfig) { c.MaxTokens = 64 })
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 20 {
				owner := fmt.Sprint("user", g, "-", i%7)
				wantCode(t, "concurrent", f, bearing(signed(keyA(), "a", goodClaims(owner))), owner, "")
			}
		})
	}
	wg.Wait()
	if s.count() != 1 {
		t.Errorf("%d fetches by 16 callers at once, want 1", s.count())
	}
}

func FuzzAuthorization(f *testing.F) {
	key := keyA()
	v := newFirebase(f, serve(map[string]*rsa.PrivateKey{"a": key}, "3600"), nil)
	good := signed(key, "a", goodClaims("ann"))
	f.Add("Bearer "+good, "kid")
	f.Add("Bearer "+sign(jwt.UnsafeAllowNoneSignatureType, jwt.SigningMethodNone, "a", goodClaims("ann")), "")
	f.Add("Bearer a.b.c", `{"alg":"RS256","kid":"a","crit":["x"]}`)
	f.Fuzz(func(t *testing.T, header, jwtHeader string) {
		made := base64.RawURLEncoding.EncodeToString([]byte(jwtHeader)) + good[strings.IndexByte(good, '.'):]
		for _, h := range []string{header, "Bearer " + made} {
			id, err := v.Identify(request("Authorization", h))
			switch {
			case err == nil && (id.Owner != "ann" || !strings.Contains(h, good)):
				t.Fatalf("%q made %+v", h, id)
			case err != nil:
				if e, ok := err.(*Error); !ok || e.Status() == 0 || e.Message == "" {
					t.Fatalf("%q: %v", h, err)
				} else if tail := h[len(h)/2:]; len(tail) > 12 && strings.Contains(e.Error()+e.Challenge(), tail) {
					t.Fatalf("the error for %q echoes it", h)
				}
			}
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	s := serve(map[string]*rsa.PrivateKey{"a": keyA()}, "1")
	f.Add(s.encode())
	s.jwks = true
	f.Add(s.encode())
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"x","n":"","e":"AAAAAAAAAAAB"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := parseKeys(body)
		if err == nil && len(keys) == 0 || len(keys) > maxKeys {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for id, k := range keys {
			if k.id != id || !usable(k.public) {
				t.Fatalf("key %q is not usable", id)
			}
		}
	})
}

func BenchmarkIdentify(b *testing.B) {
	f := newFirebase(b, serve(map[string]*rsa.PrivateKey{"a": keyA()}, "3600"), nil)
	token := signed(keyA(), "a", goodClaims("ann"))
	r := bearing(token)
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Identify(r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("full", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, refusal := f.verify(b.Context(), token); refusal != nil {
				b.Fatal(refusal)
			}
		}
	})
	forged := bearing(signed(keyB(), "a", goodClaims("ann")))
	b.Run("forged", func(b *testing.B) {
		for b.Loop() {
			if _, err := f.Identify(forged); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}

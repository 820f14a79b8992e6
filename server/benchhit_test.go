package server

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"github.com/tomehub/tomehub/server/identity"
)

// BenchmarkHandler compares, without connections, a search of about 10 KiB that the cache
// answers, for a caller with a verified token, with a bare gin handler that writes the same bytes.
func BenchmarkHandler(b *testing.B) {
	h := openHouse(b, 10, 500, cached)
	m := newMint(b)
	keys := httptest.NewServer(m)
	b.Cleanup(keys.Close)
	deps := h.deps()
	var err error
	deps.Identity, err = identity.NewFirebase(identity.FirebaseConfig{
		Project: m.project, KeyURL: keys.URL, Client: keys.Client(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	chain := newServer(b, benchConfig(), deps).Handler()
	target, token := "", "Bearer "+m.token(b, "ann")
	bare := new(bareHandler)
	size := 0
	for n := 5; size < 10<<10; n++ {
		target = fmt.Sprintf("/api/search?q=time&include=details&page_size=%d", n)
		answer := ask(b, chain, "GET", target, "", "Authorization", token)
		size = answer.Body.Len()
		bare.answer.Store(&bareAnswer{answer.Header(), answer.Body.Bytes()})
	}
	for _, one := range []struct {
		name, target string
		handler      http.Handler
	}{{"bare", bodyPath, bare.engine()}, {"same_head", headPath, bare.engine()}, {"chain", target, chain}} {
		b.Run(one.name, func(b *testing.B) {
			request := httptest.NewRequestWithContext(b.Context(), "GET", one.target, nil)
			request.Header.Set("Authorization", token)
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				w.bytes = 0
				one.handler.ServeHTTP(w, request)
			}
			if w.status != http.StatusOK || w.bytes < size-100 { // the time it took has more or fewer digits
				b.Errorf("%d and %d bytes, want 200 and about %d", w.status, w.bytes, size)
			}
			b.ReportMetric(float64(w.bytes), "bytes/answer")
		})
	}
}

// A discard is an http.ResponseWriter that keeps nothing.
type discard struct {
	header        http.Header
	status, bytes int
}

func (d *discard) Header() http.Header    { return d.header }
func (d *discard) WriteHeader(status int) { d.status = status }
func (d *discard) Write(p []byte) (int, error) {
	d.bytes += len(p)
	return len(p), nil
}

// A bareHandler is gin with nothing on it, writing always the same bytes: those of a body, or
// of an answer with its head.
type bareHandler struct{ answer atomic.Pointer[bareAnswer] }

type bareAnswer struct {
	header http.Header
	body   []byte
}

const bodyPath, headPath, answerPath = "/body", "/head", "/answer"

func (h *bareHandler) engine() *gin.Engine {
	quietGin()
	e := gin.New()
	e.GET(bodyPath, func(c *gin.Context) { c.Data(http.StatusOK, jsonType[0], h.answer.Load().body) })
	e.GET(headPath, func(c *gin.Context) {
		answer, header := h.answer.Load(), c.Writer.Header()
		for name, values := range answer.header {
			header[name] = values
		}
		c.Data(http.StatusOK, jsonType[0], answer.body)
	})
	e.PUT(answerPath, func(c *gin.Context) { // takes an answer as curl -i prints it
		resp, err := http.ReadResponse(bufio.NewReader(c.Request.Body), nil)
		if err != nil {
			_ = c.AbortWithError(http.StatusBadRequest, err)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			_ = c.AbortWithError(http.StatusBadRequest, err)
			return
		}
		resp.Header.Del("Date") // net/http writes its own
		h.answer.Store(&bareAnswer{resp.Header, body})
	})
	return e
}

// TestBareHandler is what .ci/bench-http measures the server against: with TOMEHUB_SERVE_BARE
// naming a directory it serves a bare gin handler, and the keys of an identity, until SIGTERM; it
// leaves their addresses and a token in bare.json there. Without, it looks whether that works.
func TestBareHandler(t *testing.T) {
	dir := os.Getenv("TOMEHUB_SERVE_BARE")
	serving := dir != ""
	if !serving {
		dir = t.TempDir()
	}
	m := newMint(t)
	keys, bare := httptest.NewServer(m), httptest.NewServer(new(bareHandler).engine())
	defer keys.Close()
	defer bare.Close()
	told, err := json.Marshal(map[string]string{"bare_url": bare.URL, "keys_url": keys.URL, "project": m.project, "token": m.token(t, "ann")})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "bare.tmp"), told, 0o600)
	}
	if err == nil {
		err = os.Rename(filepath.Join(dir, "bare.tmp"), filepath.Join(dir, "bare.json"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if serving {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		<-asked
		return
	}
	put, err := http.NewRequestWithContext(t.Context(), http.MethodPut, bare.URL+answerPath,
		strings.NewReader("HTTP/1.1 200 OK\r\nX-Request-Id: 1\r\nContent-Length: 14\r\n\r\nthe same bytes"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := bare.Client().Do(put)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for path, id := range map[string]string{bodyPath: "", headPath: "1"} {
		resp, err := bare.Client().Get(bare.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "the same bytes" || resp.Header.Get("X-Request-Id") != id {
			t.Errorf("%s: the bare handler wrote %q under %v, %v", path, body, resp.Header, err)
		}
	}
}

// A mint makes keys and ID tokens signed with them.
type mint struct {
	project string
	key     *rsa.PrivateKey
}

func newMint(t testing.TB) *mint {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &mint{project: "tomehub-bench", key: key}
}

// ServeHTTP answers with the public key as a JWK Set.
func (m *mint) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1",
		"n": base64.RawURLEncoding.EncodeToString(m.key.N.Bytes()), "e": "AQAB",
	}}})
}

// token is a user's ID token, good for an hour.
func (m *mint) token(t testing.TB, user string) string {
	t.Helper()
	now := time.Now()
	unsigned := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": "https://securetoken.google.com/" + m.project, "aud": m.project, "sub": user,
		"iat": now.Unix(), "auth_time": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	unsigned.Header["kid"] = "k1"
	signed, err := unsigned.SignedString(m.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const project = "tome-hub-test"

// Making an RSA key takes a while, so all tests share a few.
var (
	keyA = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
	keyB = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
	weak = sync.OnceValue(func() *rsa.PrivateKey { return newKey(1024) })
)

func newKey(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

// keyServer is a key URL without a network, so that it also serves inside a synctest bubble.
type keyServer struct {
	mu     sync.Mutex // guards the fields below
	keys   map[string]*rsa.PrivateKey
	jwks   bool          // else certificates
	header http.Header   // of answers
	err    error         // instead of an answer
	status int           // 0 means 200
	delay  time.Duration // before answering
	body   []byte        // instead of the keys
	calls  int
}

func serve(keys map[string]*rsa.PrivateKey, maxAge string) *keyServer {
	return &keyServer{keys: keys, header: http.Header{"Cache-Control": {"public, max-age=" + maxAge + ", must-revalidate, no-transform"}}}
}

func (s *keyServer) set(change func(*keyServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *keyServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// RoundTrip implements http.RoundTripper.
func (s *keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.calls++
	delay, err, status, header, body := s.delay, s.err, s.status, maps.Clone(s.header), s.body
	if body == nil {
		body = s.encode()
	}
	if status == 0 {
		status = http.StatusOK
	}
	s.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

func (s *keyServer) encode() []byte {
	var v any
	if s.jwks {
		list := []map[string]string{ // left out by the reader
			{"kty": "EC", "kid": "other", "n": base64.RawURLEncoding.EncodeToString(keyB().N.Bytes()), "e": "AQAB"},
			{"kty": "RSA", "kid": "encryption", "use": "enc", "n": base64.RawURLEncoding.EncodeToString(keyB().N.Bytes()), "e": "AQAB"},
		}
		for id, k := range s.keys {
			list = append(list, map[string]string{
				"kty": "RSA", "kid": id, "alg": "RS256", "use": "sig", "e": "AQAB",
				"n": base64.RawURLEncoding.EncodeToString(k.N.Bytes()),
			})
		}
		v = map[string]any{"keys": list}
	} else {
		certs := map[string]string{"broken": "no certificate"}
		for id, k := range s.keys {
			certs[id] = certificate(k)
		}
		v = certs
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func certificate(k *rsa.PrivateKey) string {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// journal is a log to count lines in.
type journal struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func newFirebase(t testing.TB, s http.RoundTripper, change func(*FirebaseConfig)) *Firebase {
	t.Helper()
	cfg := FirebaseConfig{
		Project: project, Client: &http.Client{Transport: s}, Skew: 30 * time.Second,
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	f, err := NewFirebase(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// goodClaims are those of a token that Firebase issued a minute ago.
func goodClaims(owner string) jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{
		"iss": "https://securetoken.google.com/" + project, "aud": project, "sub": owner, "user_id": owner,
		"iat": now.Add(-time.Minute).Unix(), "auth_time": now.Add(-time.Hour).Unix(), "exp": now.Add(59 * time.Minute).Unix(),
		"firebase": map[string]any{"sign_in_provider": "password"},
	}
}

func with(c jwt.MapClaims, name string, value any) jwt.MapClaims {
	if c[name] = value; value == nil {
		delete(c, name)
	}
	return c
}

func sign(k any, method jwt.SigningMethod, id string, c jwt.Claims, header ...string) string {
	token := jwt.NewWithClaims(method, c)
	if id != "" {
		token.Header["kid"] = id
	}
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i]] = header[i+1]
	}
	text, err := token.SignedString(k)
	if err != nil {
		panic(fmt.Sprint("sign test token: ", err))
	}
	return text
}

func signed(k *rsa.PrivateKey, id string, c jwt.Claims) string {
	return sign(k, jwt.SigningMethodRS256, id, c)
}

func bearing(token string) *http.Request { return request("Authorization", "Bearer "+token) }

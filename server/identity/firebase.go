package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Names of the settings that errors of NewFirebase tell the operator to change.
const (
	SettingProject  = "FIREBASE_PROJECT_ID"
	SettingKeyURL   = "FIREBASE_KEY_URL"
	SettingEmulator = "FIREBASE_EMULATOR"
	SettingSkew     = "AUTH_CLOCK_SKEW"
	SettingGrace    = "AUTH_KEY_GRACE"
	SettingTokens   = "AUTH_MAX_TOKENS"
)

// Google's key URLs for ID tokens: certificates by key id (the documented one), and the same keys as a JWK Set. Both forms
// are read from any URL.
const (
	GoogleCertificatesURL = "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"
	GoogleJWKSetURL       = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
)

// Defaults of FirebaseConfig.
const (
	DefaultKeyGrace  = time.Hour
	DefaultMaxTokens = 50_000 // about 10 MB
)

const maxSkew = 10 * time.Minute

// FirebaseConfig is what a Firebase verifier is made of.
type FirebaseConfig struct {
	Project string // the Firebase project id: tokens of other projects are refused
	// KeyURL serves the public keys; "" means GoogleCertificatesURL. It is https, or http on a loopback host for tests.
	KeyURL string
	// Client fetches the keys. The verifier bounds each fetch to 5 s and 1 MiB by itself.
	Client *http.Client
	// Skew is how far this machine's clock may be from Google's: tokens hold that much longer and may come from that far ahead. 0
	// to 10 min.
	Skew time.Duration
	// KeyGrace is how long the last keys serve beyond their max-age while the key URL is down; 0 means DefaultKeyGrace.
	KeyGrace  time.Duration
	MaxTokens int // most verified tokens remembered; 0 means DefaultMaxTokens
	// Emulator accepts the unsigned tokens of the Firebase emulator and no others: whoever can reach the server can be anybody.
	Emulator bool
	Logger   *slog.Logger
}

// Firebase verifies Firebase ID tokens. Create it with NewFirebase; Run keeps its keys fresh. It is safe for concurrent use.
type Firebase struct {
	cfg      FirebaseConfig
	issuer   string
	parser   *jwt.Parser
	keys     *keySource // nil in emulator mode
	tokens   *tokens
	verified atomic.Int64
	recalled atomic.Int64
	refused  map[Code]*atomic.Int64 // the map itself never changes after NewFirebase
}

// NewFirebase checks the configuration, reporting every fault at once. It fetches nothing.
func NewFirebase(cfg FirebaseConfig) (*Firebase, error) {
	if cfg.KeyURL == "" {
		cfg.KeyURL = GoogleCertificatesURL
	}
	if cfg.KeyGrace == 0 {
		cfg.KeyGrace = DefaultKeyGrace
	}
	if cfg.MaxTokens == 0 {
		cfg.MaxTokens = DefaultMaxTokens
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	f := &Firebase{
		cfg:     cfg,
		issuer:  "https://securetoken.google.com/" + cfg.Project,
		tokens:  newTokens(cfg.MaxTokens),
		refused: map[Code]*atomic.Int64{},
	}
	for _, c := range codes {
		f.refused[c] = new(atomic.Int64)
	}
	method := jwt.SigningMethodRS256.Alg()
	if cfg.Emulator {
		method = jwt.SigningMethodNone.Alg()
		cfg.Logger.Warn("unsigned tokens are accepted: every caller can be anybody", "setting", SettingEmulator)
	} else {
		f.keys = newKeySource(cfg)
	}
	f.parser = jwt.NewParser(jwt.WithValidMethods([]string{method}), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())
	return f, nil
}

func (c FirebaseConfig) validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("check identity: "+format, args...))
	}
	if !validProject(c.Project) {
		fault("%s is %q: want a Firebase project id, 1 to 64 of a-z 0-9 . : -", SettingProject, c.Project)
	}
	if c.Skew < 0 || c.Skew > maxSkew {
		fault("%s is %v: want 0s to %v", SettingSkew, c.Skew, maxSkew)
	}
	if c.KeyGrace < 0 || c.KeyGrace > 7*24*time.Hour {
		fault("%s is %v: want 0s (%v) to 168h", SettingGrace, c.KeyGrace, DefaultKeyGrace)
	}
	if c.MaxTokens < 0 || c.MaxTokens > 10_000_000 {
		fault("%s is %d: want 0 (%d) to 10,000,000", SettingTokens, c.MaxTokens, DefaultMaxTokens)
	}
	if c.Logger == nil || c.Client == nil && !c.Emulator {
		fault("a logger and an HTTP client are needed")
	}
	if u, err := url.Parse(c.KeyURL); err != nil || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) || u.Host == "" {
		fault("%s is %q: want an https URL, or http on a loopback host", SettingKeyURL, c.KeyURL)
	}
	return errors.Join(faults...)
}

// validProject also keeps the id within what a quoted header string holds unescaped.
func validProject(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != ':' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Run fetches the keys now and again before each max-age ends, with back-off of up to 30 s while that fails. It returns nil when
// ctx ends. Without it keys are fetched when a request needs them, and that request waits.
func (f *Firebase) Run(ctx context.Context) error {
	if f.keys == nil {
		<-ctx.Done()
		return nil
	}
	return f.keys.run(ctx)
}

// Identify implements Verifier: the sender is the user whose ID token is in "Authorization: Bearer". It never answers an
// anonymous identity, and X-Tomehub-User means nothing to it. If it must wait for a key fetch, then for 5 s at most.
func (f *Firebase) Identify(r *http.Request) (Identity, error) {
	owner, refusal := f.identify(r)
	if refusal != nil {
		f.refused[refusal.Code].Add(1)
		return Identity{}, refusal
	}
	return Identity{Owner: owner}, nil
}

func (f *Firebase) identify(r *http.Request) (string, *Error) {
	token, refusal := bearer(r.Header["Authorization"])
	if refusal != nil {
		return "", refusal
	}
	var buf [2 << 10]byte // most tokens fit, and then cost no allocation
	sum := sha256.Sum256(append(buf[:0], token...))
	if t, ok := f.tokens.recall(sum, time.Now()); ok && (f.keys == nil || f.keys.holds(t.key)) {
		f.recalled.Add(1)
		return t.owner, nil
	}
	if !plausible(token) {
		return "", refuse(TokenMalformed, "The ID token holds a character that no token has.")
	}
	t, refusal := f.verify(r.Context(), token)
	if refusal != nil {
		return "", refusal
	}
	f.verified.Add(1)
	f.tokens.remember(sum, t, time.Now())
	return t.owner, nil
}

// maxToken bounds a token's bytes. Firebase tokens have about 1 KB, with the largest custom claims (1,000 bytes) under 3 KB.
const maxToken = 8 << 10

// bearer cuts the token out of the Authorization header (RFC 6750, section 2.1).
func bearer(values []string) (string, *Error) {
	if len(values) == 0 {
		return "", refuse(TokenMissing, "This request needs a Firebase ID token: send Authorization: Bearer followed by the token.")
	}
	if len(values) > 1 {
		return "", refuse(TokenMalformed, "The request has more than one Authorization header.")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if token = strings.Trim(token, " "); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", refuse(TokenMissing, "The Authorization header must be Bearer followed by a Firebase ID token.")
	}
	if len(token) > maxToken {
		return "", refuse(TokenMalformed, "The ID token is longer than 8 KiB.")
	}
	return token, nil
}

// plausible tells whether a token has only characters that tokens have.
func plausible(token string) bool {
	for _, c := range []byte(token) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// verify checks the claims, which costs little, before the signature, and accepts only what passes both.
func (f *Firebase) verify(ctx context.Context, token string) (verifiedToken, *Error) {
	var c claims
	var k *key
	_, err := f.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		if refusal := f.check(t.Header, &c, time.Now()); refusal != nil {
			return nil, refusal
		}
		if f.keys == nil {
			return jwt.UnsafeAllowNoneSignatureType, nil
		}
		id, _ := t.Header["kid"].(string)
		var refusal *Error
		if k, refusal = f.keys.find(ctx, id); refusal != nil {
			return nil, refusal
		}
		return k.public, nil
	})
	if err == nil {
		return verifiedToken{owner: c.Subject, key: k, until: c.ExpiresAt.Add(f.cfg.Skew)}, nil
	}
	if refusal, ok := errors.AsType[*Error](err); ok {
		return verifiedToken{}, refusal
	}
	if errors.Is(err, jwt.ErrTokenMalformed) {
		return verifiedToken{}, refuse(TokenMalformed, "The ID token cannot be read: it is not three parts of base64url with JSON in the first two.")
	}
	if f.cfg.Emulator {
		return verifiedToken{}, refuse(TokenSignature, "This server takes tokens of the Firebase emulator, which are unsigned, and no others.")
	}
	return verifiedToken{}, refuse(TokenSignature, "The ID token is not signed with RS256 by a key of this server's issuer.")
}

// Stats are lifetime counters and present gauges.
type Stats struct {
	Verified       int64          `json:"verified"`   // tokens checked in full and accepted
	Recalled       int64          `json:"remembered"` // requests whose token was remembered
	Refused        map[Code]int64 `json:"refused"`
	Tokens         int            `json:"tokens"` // remembered now
	MaxTokens      int            `json:"max_tokens"`
	Keys           int            `json:"keys"`
	KeysAge        float64        `json:"keys_age_s"` // since the last successful fetch; 0 before the first
	KeyFetches     int64          `json:"key_fetches"`
	KeyFetchFaults int64          `json:"key_fetch_failures"`
}

// Stats returns the counters as they are now.
func (f *Firebase) Stats() Stats {
	s := Stats{
		Verified: f.verified.Load(), Recalled: f.recalled.Load(), Refused: map[Code]int64{},
		Tokens: f.tokens.len(), MaxTokens: f.cfg.MaxTokens,
	}
	for code, n := range f.refused {
		s.Refused[code] = n.Load()
	}
	if f.keys != nil {
		s.KeyFetches, s.KeyFetchFaults = f.keys.fetches.Load(), f.keys.faults.Load()
		if set := f.keys.set.Load(); set != nil {
			s.Keys, s.KeysAge = len(set.keys), time.Since(set.fetched).Seconds()
		}
	}
	return s
}

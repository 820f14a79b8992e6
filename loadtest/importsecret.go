package loadtest

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"strings"
)

// leftOut stands where a secret stood.
const leftOut = "left-out"

// secretNames are parts of names whose values are not copied.
var secretNames = []string{
	"token", "secret", "passw", "passphrase", "pwd", "auth", "session", "signature", "credential", "csrf", "xsrf", "jwt", "bearer", "cookie", "apikey", "api-key",
	"api_key", "accesskey", "access_key", "access-key", "private", "email", "phone", "ssn", "iban", "ticket",
}

// secretWords are such names when they are the whole name.
var secretWords = map[string]bool{"key": true, "sig": true, "sid": true, "code": true, "state": true, "nonce": true, "otp": true, "pin": true, "pass": true, "user": true, "username": true, "login": true, "hash": true}

func isSecretName(name string) bool {
	name = strings.ToLower(name)
	if secretWords[name] || strings.HasSuffix(name, "_key") || strings.HasSuffix(name, "-key") {
		return true
	}
	for _, part := range secretNames {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

var (
	uuid     = regexp.MustCompile(`^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)
	hexadec  = regexp.MustCompile(`^[0-9a-fA-F]+$`)
	opaque   = regexp.MustCompile(`^[A-Za-z0-9_\-.~+/=]+$`)
	mailName = regexp.MustCompile(`[^\s@]+@[^\s@]+\.[^\s@]+`)
)

// looksSecret tells values that nobody chose to be read: signed tokens, keys, and addresses of people. Ids (numbers,
// UUIDs) are none; neither are words, however long.
func looksSecret(v string) bool {
	switch {
	case uuid.MatchString(v):
		return false
	case strings.HasPrefix(v, "eyJ") && len(v) > 20: // JSON in base64, as in a JWT
		return true
	case mailName.MatchString(v):
		return true
	case len(v) < 20 || !opaque.MatchString(v):
		return false
	case hexadec.MatchString(v) && len(v) >= 32:
		return strings.ContainsAny(v, "abcdefABCDEF")
	}
	return strings.ContainsAny(v, "0123456789") && entropy(v) > 3.5
}

// entropy is Shannon's, in bits per byte, of how often each byte occurs. English words have about 3 in 20 letters, random
// letters and digits above 4.
func entropy(s string) float64 {
	var count [256]int
	for i := range len(s) {
		count[s[i]]++
	}
	bits := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

// withoutSecrets copies a JSON value, secrets replaced: what looks like one, and every text and number below a name that
// is one's. told is called for each with its name.
func withoutSecrets(v any, name string, told func(string)) any {
	secret := isSecretName(name)
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, inner := range v {
			below := k
			if secret && !isSecretName(k) {
				below = name + "." + k
			}
			out[k] = withoutSecrets(inner, below, told)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = withoutSecrets(inner, name, told)
		}
		return out
	case string:
		if secret || looksSecret(v) {
			told(name)
			return leftOut
		}
	case json.Number:
		if secret {
			told(name)
			return leftOut
		}
	}
	return v
}

// compactJSON writes a value on one line, with its letters as they are.
func compactJSON(v any) string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "null" // of values that were JSON before there is none
	}
	return strings.TrimSpace(buf.String())
}

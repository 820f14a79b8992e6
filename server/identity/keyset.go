package identity

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
)

// Bounds of a key set. Checking a signature costs time that grows with the square of the modulus, hence its upper bound.
const (
	maxKeys       = 64
	minKeyBits    = 2048
	maxKeyBits    = 8192
	maxExponent   = 1<<31 - 1
	exponentBytes = 4
)

// key is a public key and its name.
type key struct {
	id     string
	public *rsa.PublicKey
}

// parseKeys reads either form of key URL: {"keys":[JWK, ...]} (RFC 7517) or {"key id":"PEM certificate", ...}. Keys that
// cannot have signed an ID token (of another kind, size or use) are left out; none left is an error. A certificate is only the
// wrapper its key comes in: its dates and its signature mean nothing here, as in Google's own libraries, because the URL itself
// is what vouches for the key.
func parseKeys(body []byte) (map[string]*key, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, fmt.Errorf("want a JSON object: %w", err)
	}
	keys := map[string]*key{}
	add := func(id string, public *rsa.PublicKey, err error) {
		if err == nil && id != "" && len(id) <= maxKeyID && usable(public) {
			keys[id] = &key{id: id, public: public}
		}
	}
	if list, ok := fields["keys"]; ok {
		var set []jwk
		if err := json.Unmarshal(list, &set); err != nil {
			return nil, fmt.Errorf("want a JWK Set: %w", err)
		}
		for _, k := range set[:min(len(set), maxKeys)] {
			public, err := k.rsa()
			add(k.ID, public, err)
		}
	} else {
		for id, raw := range fields {
			if len(keys) == maxKeys {
				break
			}
			public, err := certified(raw)
			add(id, public, err)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no RSA signature key of %d to %d bits among %d entries", minKeyBits, maxKeyBits, len(fields))
	}
	return keys, nil
}

// jwk is a JSON Web Key, as far as RSA needs it (RFC 7518, section 6.3.1).
type jwk struct {
	ID        string `json:"kid"`
	Type      string `json:"kty"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
	Modulus   string `json:"n"`
	Exponent  string `json:"e"`
}

var errNotRSA = errors.New("not an RSA signature key")

func (k jwk) rsa() (*rsa.PublicKey, error) {
	if k.Type != "RSA" || k.Algorithm != "" && k.Algorithm != "RS256" || k.Use != "" && k.Use != "sig" {
		return nil, errNotRSA
	}
	n, err := base64.RawURLEncoding.DecodeString(k.Modulus)
	if err != nil {
		return nil, err
	}
	e, err := base64.RawURLEncoding.DecodeString(k.Exponent)
	if err != nil || len(e) > exponentBytes {
		return nil, errNotRSA
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}

func certified(raw json.RawMessage) (*rsa.PublicKey, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errNotRSA
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errNotRSA
	}
	return public, nil
}

func usable(k *rsa.PublicKey) bool {
	bits := k.N.BitLen()
	return bits >= minKeyBits && bits <= maxKeyBits && k.N.Bit(0) == 1 && k.E >= 3 && k.E <= maxExponent && k.E%2 == 1
}

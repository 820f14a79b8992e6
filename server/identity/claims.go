package identity

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// claims are those of an ID token that are checked.
type claims struct {
	jwt.RegisteredClaims
	AuthTime *jwt.NumericDate `json:"auth_time"`
}

// maxTime is the end of the year 9999: later times overflow somewhere.
const maxTime = 253402300799

const maxKeyID = 256 // bytes; Google's have 40

// check looks at everything but the signature.
func (f *Firebase) check(header map[string]any, c *claims, now time.Time) *Error {
	// RFC 7515, section 4.1.11: a token whose critical extensions are not understood must be refused. None is.
	if _, ok := header["crit"]; ok {
		return refuse(TokenMalformed, "The ID token has critical extensions, which Firebase never sets.")
	}
	if id, _ := header["kid"].(string); !f.cfg.Emulator && (id == "" || len(id) > maxKeyID) {
		return refuse(TokenMalformed, "The ID token does not name the key that signed it.")
	}
	if c.Issuer != f.issuer {
		return refuse(TokenWrongIssuer, "The ID token was not issued by "+f.issuer+".")
	}
	if len(c.Audience) != 1 || c.Audience[0] != f.cfg.Project {
		return refuse(TokenWrongAudience, "The ID token is not for the project "+f.cfg.Project+".")
	}
	if !validSubject(c.Subject) {
		return refuse(TokenMalformed, "The ID token does not name a user by 1 to 128 characters.")
	}
	return f.checkTimes(c, now)
}

func (f *Firebase) checkTimes(c *claims, now time.Time) *Error {
	if !validTime(c.ExpiresAt) || !validTime(c.IssuedAt) || !validTime(c.AuthTime) || c.NotBefore != nil && !validTime(c.NotBefore) {
		return refuse(TokenMalformed, "The ID token lacks its expiry, issue or sign-in time, or has one that is no time.")
	}
	if !now.Before(c.ExpiresAt.Add(f.cfg.Skew)) {
		return refuse(TokenExpired, "The ID token has expired: get a fresh one from Firebase.")
	}
	latest := now.Add(f.cfg.Skew)
	if c.IssuedAt.After(latest) || c.AuthTime.After(latest) || c.NotBefore != nil && c.NotBefore.After(latest) {
		return refuse(TokenNotYetValid, "The ID token comes from the future: a clock is wrong.")
	}
	return nil
}

func validTime(d *jwt.NumericDate) bool {
	return d != nil && d.Unix() > 0 && d.Unix() <= maxTime
}

// validSubject refuses control characters, which Firebase allows in ids that a project makes up itself: an owner's name ends
// in logs and cache keys.
func validSubject(s string) bool {
	return s != "" && utf8.RuneCountInString(s) <= maxOwner && utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

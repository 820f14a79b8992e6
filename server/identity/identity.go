package identity

import (
	"fmt"
	"net/http"
	"time"
)

// Identity is who sent a request.
type Identity struct {
	Owner     string // the user's id, 1 to 128 characters; "" when Anonymous
	Anonymous bool   // may read the shared library and owns nothing
}

// Verifier identifies the sender of a request. Its errors are of type *Error.
type Verifier interface {
	Identify(r *http.Request) (Identity, error)
}

// Code says why a request was not identified. Codes are part of the API and do not change.
type Code string

// The codes. A user cannot mend KeysUnavailable, so it is a 503; the others are a 401, and UserMalformed a 400.
const (
	TokenMissing       Code = "token_missing"
	TokenMalformed     Code = "token_malformed"
	TokenExpired       Code = "token_expired"
	TokenNotYetValid   Code = "token_not_yet_valid"
	TokenWrongAudience Code = "token_wrong_audience"
	TokenWrongIssuer   Code = "token_wrong_issuer"
	TokenSignature     Code = "token_signature"
	KeysUnavailable    Code = "keys_unavailable"
	UserMalformed      Code = "user_malformed" // only in mode off
)

// codes lists those that Firebase counts.
var codes = []Code{
	TokenMissing, TokenMalformed, TokenExpired, TokenNotYetValid, TokenWrongAudience, TokenWrongIssuer, TokenSignature, KeysUnavailable,
}

// Error is why a request was not identified. It never holds any part of the token.
type Error struct {
	Code       Code
	Message    string        // a sentence for the caller, plain ASCII without quotes
	RetryAfter time.Duration // for KeysUnavailable: when another attempt may help
	cause      error         // for KeysUnavailable
}

// Error is for logs.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("identify caller: %s: %v", e.Code, e.cause)
	}
	return fmt.Sprintf("identify caller: %s: %s", e.Code, e.Message)
}

// Unwrap returns what kept the keys away, if that is the reason.
func (e *Error) Unwrap() error { return e.cause }

// Status returns the HTTP status to answer with: 400, 401 or 503.
func (e *Error) Status() int {
	switch e.Code {
	case KeysUnavailable:
		return http.StatusServiceUnavailable
	case UserMalformed:
		return http.StatusBadRequest
	}
	return http.StatusUnauthorized
}

// Challenge returns the WWW-Authenticate field that a 401 must carry (RFC 6750, section 3), or "" for another status. A request
// without a token gets no error code in it, as the RFC asks.
func (e *Error) Challenge() string {
	switch {
	case e.Status() != http.StatusUnauthorized:
		return ""
	case e.Code == TokenMissing:
		return `Bearer realm="tomehub"`
	}
	return `Bearer realm="tomehub", error="invalid_token", error_description="` + e.Message + `"`
}

func refuse(code Code, message string) *Error { return &Error{Code: code, Message: message} }

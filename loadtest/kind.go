package loadtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// A Kind says how a request ended. The set is closed, so a table of kinds never grows with a run; the text of the first
// error of each kind is kept beside its count.
type Kind uint8

// The kinds. OK is a right answer in time; the refusals are a server's answers by design; Canceled counts nowhere,
// because it was the run that ended; all others are failures.
const (
	OK                Kind = iota
	Slow                   // the right answer, later than the scenario's slow_after
	RateLimited            // 429
	Overloaded             // 503
	RefusedInStream        // the last line of a stream says that the server refused
	RefusedSlowReader      // the answer broke off under a step that reads slowly
	Timeout                // no whole answer within the step's timeout
	Unresolved             // the host name has no address
	Unconnected            // nobody accepted the connection
	BadTLS                 // no secure connection came about
	Reset                  // the connection was reset
	Closed                 // the connection was closed before an answer
	Truncated              // the answer ended in its middle
	Incomplete             // a stream broke off, or ended without the line that should be its last
	FailedInStream         // the last line of a stream says that the server failed
	BadHTTP                // the answer is not HTTP
	ClientError            // 4xx that the step does not expect, other than 429
	ServerError            // 5xx that the step does not expect, other than 503
	OtherStatus            // any other status that the step does not expect
	NotJSON                // fields were asked for and the answer is not JSON
	WrongAnswer            // a field or the size is not what the step expects
	TooLarge               // a JSON answer above 16 MiB
	Exhausted              // the generator ran out of ports, files or memory: not the server's fault
	BadRequest             // the request could not be made from its template
	OtherError
	Canceled
	kinds int = iota
)

var kindNames = [kinds]string{
	OK: "ok", Slow: "slow", RateLimited: "refused_429", Overloaded: "refused_503",
	RefusedInStream: "refused_in_stream", RefusedSlowReader: "refused_slow_reader", Timeout: "timeout",
	Unresolved: "unresolved", Unconnected: "unconnected", BadTLS: "bad_tls", Reset: "reset", Closed: "closed",
	Truncated: "truncated", Incomplete: "incomplete", FailedInStream: "failed_in_stream", BadHTTP: "bad_http", ClientError: "status_4xx", ServerError: "status_5xx",
	OtherStatus: "status_other", NotJSON: "not_json", WrongAnswer: "wrong_answer", TooLarge: "too_large",
	Exhausted: "generator_exhausted", BadRequest: "bad_request", OtherError: "other", Canceled: "canceled",
}

// String returns the kind's name in reports and result files.
func (k Kind) String() string {
	if int(k) < kinds {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText writes String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText accepts what MarshalText writes.
func (k *Kind) UnmarshalText(text []byte) error {
	for i, name := range kindNames {
		if name == string(text) {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("read kind %q: not one of %s", text, strings.Join(kindNames[:], ", "))
}

// refused tells the answers that a server gives by design when it is asked too much.
func (k Kind) refused() bool {
	return k == RateLimited || k == Overloaded || k == RefusedInStream || k == RefusedSlowReader
}

// failed is everything but right answers and refusals.
func (k Kind) failed() bool { return k != OK && !k.refused() && k != Canceled }

// timed tells whether the time of such a request belongs into the percentiles. Served requests do, and those that timed
// out or were answered late, because leaving them out would flatter the server. Refusals and broken connections are
// often quick and would flatter it just as well; they have their own counts.
func (k Kind) timed() bool {
	switch k {
	case OK, Slow, Timeout, Truncated, NotJSON, WrongAnswer, TooLarge:
		return true
	case RateLimited, Overloaded, RefusedInStream, RefusedSlowReader, Unresolved, Unconnected, BadTLS, Reset, Closed,
		Incomplete, FailedInStream, BadHTTP, ClientError, ServerError,
		OtherStatus, Exhausted, BadRequest, OtherError, Canceled:
	}
	return false
}

// kindOfStatus is the kind of an answer whose status the step does not expect.
func kindOfStatus(status int) Kind {
	switch {
	case status == http.StatusTooManyRequests:
		return RateLimited
	case status == http.StatusServiceUnavailable:
		return Overloaded
	case status >= 500 && status <= 599:
		return ServerError
	case status >= 400 && status <= 499:
		return ClientError
	}
	return OtherStatus
}

// kindOfError sorts the errors of net/http into kinds. answered says that the head of the answer was there already.
func kindOfError(err error, answered bool) Kind {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.As(err, &dns):
		return Unresolved
	case isExhausted(err):
		return Exhausted
	case isTLS(err):
		return BadTLS
	case errors.As(err, &op) && op.Op == "dial":
		return Unconnected
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		return Reset
	case answered && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || says(err, "unexpected EOF")):
		return Truncated
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), says(err, "server closed idle connection"):
		return Closed
	case says(err, "net/http: invalid"):
		return BadRequest
	case says(err, "malformed"), says(err, "invalid"), says(err, "response to HTTPS client"), badFrame(err):
		return BadHTTP
	}
	return OtherError
}

// badFrame recognises what net/http says of an answer whose head or body ends nowhere.
func badFrame(err error) bool {
	for _, text := range []string{
		"transfer encoding", "Content-Length", "headers exceeded", "line too long", "chunk length", "non-data", "long trailer", "bare LF",
	} {
		if says(err, text) {
			return true
		}
	}
	return false
}

// isExhausted recognises the limits of the machine that the generator runs on.
func isExhausted(err error) bool {
	for _, is := range []syscall.Errno{syscall.EADDRNOTAVAIL, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

func isTLS(err error) bool {
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &authority) || errors.As(err, &host) ||
		says(err, "tls: ")
}

// says looks into the text of an error, for the errors that net/http makes without a type.
func says(err error, text string) bool { return strings.Contains(err.Error(), text) }

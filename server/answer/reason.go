package answer

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Reason says why an answer is degraded. The set is closed.
type Reason string

// The reasons.
const (
	ReasonTimeout      Reason = "timeout"      // silent for longer than --answer-idle-timeout, or not done within --answer-timeout
	ReasonRefused      Reason = "refused"      // no connection, or one that ended before the answer began
	ReasonRateLimited  Reason = "rate_limited" // 429; also while waiting as long as its Retry-After said
	ReasonUnauthorized Reason = "unauthorized" // 401 or 403: ANSWER_API_KEY
	ReasonCut          Reason = "cut"          // the answer broke off
	ReasonMalformed    Reason = "malformed"    // not what a chat-completions API sends
	ReasonTooLarge     Reason = "too_large"    // beyond the bound on an answer or one line of it
	ReasonFiltered     Reason = "filtered"     // the API's own filter refused
	ReasonStatus       Reason = "status"       // another status than 200, or an error within the stream
	ReasonBusy         Reason = "busy"         // no slot free within the wait: --answer-concurrency
	ReasonBreakerOpen  Reason = "breaker_open" // the API failed repeatedly and is left alone
)

// reasons are all of them, in the order of their counters.
var reasons = [...]Reason{
	ReasonTimeout, ReasonRefused, ReasonRateLimited, ReasonUnauthorized, ReasonCut, ReasonMalformed,
	ReasonTooLarge, ReasonFiltered, ReasonStatus, ReasonBusy, ReasonBreakerOpen,
}

// A failure is an answer of the API that was none.
type failure struct {
	reason     Reason
	status     int           // of HTTP; 0 when there was none
	retryAfter time.Duration // 0: not told
	detail     string        // for operators; it holds nothing that the API or a client wrote
	err        error
}

func (f *failure) Error() string {
	text := "ask the answer API: " + string(f.reason)
	if f.status != 0 {
		text += " (HTTP " + strconv.Itoa(f.status) + ")"
	}
	if f.detail != "" {
		text += ": " + f.detail
	}
	if f.err != nil {
		text += ": " + f.err.Error()
	}
	return text
}

func (f *failure) Unwrap() error { return f.err }

// fail makes a failure from a reason and a sentence.
func fail(reason Reason, format string, args ...any) *failure {
	return &failure{reason: reason, detail: fmt.Sprintf(format, args...)}
}

// reasonOf classes any error of the way to the API; what nobody classed broke the answer off.
func reasonOf(err error) Reason {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.reason
	}
	return ReasonCut
}

// maxCoolDown bounds what a Retry-After can ask for: a wrong clock or unit must not turn the
// API off for a day.
const maxCoolDown = 5 * time.Minute

// failureOf classes an answer that is not a 200.
func failureOf(res *http.Response) *failure {
	f := &failure{reason: ReasonStatus, status: res.StatusCode}
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		f.reason, f.detail = ReasonUnauthorized, "the API does not accept "+settingKey
	case http.StatusTooManyRequests:
		f.reason, f.retryAfter = ReasonRateLimited, retryAfter(res.Header.Get("Retry-After"))
	case http.StatusServiceUnavailable:
		f.retryAfter = retryAfter(res.Header.Get("Retry-After"))
	case http.StatusNotFound:
		f.detail = "is " + settingURL + " the API's base, and does it have " + settingModel + "?"
	default:
		if res.StatusCode/100 == 3 {
			f.detail = "redirects are not followed: " + settingURL + " must be where the API is"
		}
	}
	return f
}

// retryAfter reads a number of seconds or a date, bounded to maxCoolDown; what is neither is 0.
func retryAfter(text string) time.Duration {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		if n > 0 {
			return time.Duration(min(n, maxCoolDown.Seconds()) * float64(time.Second))
		}
		return 0
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(0, time.Until(at)), maxCoolDown)
}

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/answer"
)

// The flag values of this program. Each parses what an operator may write, in a
// flag, the environment or a .env file alike, and prints what it will parse again.

// durationValue is a time with a unit ("30s", "1h"). A bare number is seconds, as
// the plan writes DB_POOL_TIMEOUT=30.
type durationValue struct {
	p        *time.Duration
	min, max time.Duration
}

func (v durationValue) Type() string   { return "duration" }
func (v durationValue) String() string { return printDuration(v.get()) }

func (v durationValue) get() time.Duration {
	if v.p == nil {
		return 0
	}
	return *v.p
}

func (v durationValue) Set(s string) error {
	d, err := time.ParseDuration(s)
	if seconds, bare := strconv.ParseFloat(s, 64); bare == nil {
		d, err = time.Duration(seconds*float64(time.Second)), nil
		if math.IsNaN(seconds) || math.Abs(seconds) > math.MaxInt64/float64(time.Second) {
			err = errors.New("not a time")
		}
	}
	if err != nil || d < v.min || d > v.max {
		return fmt.Errorf("want a time from %s to %s, such as 30s or 5m; a bare number is seconds",
			printDuration(v.min), printDuration(v.max))
	}
	*v.p = d
	return nil
}

// printDuration writes 1h0m0s as 1h and 30m0s as 30m, which ParseDuration reads alike.
func printDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// intValue is a whole number within bounds.
type intValue struct {
	p        *int
	min, max int
}

func (v intValue) Type() string { return "int" }

func (v intValue) String() string {
	if v.p == nil {
		return "0"
	}
	return strconv.Itoa(*v.p)
}

func (v intValue) Set(s string) error {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < v.min || n > v.max {
		return fmt.Errorf("want a whole number from %d to %d", v.min, v.max)
	}
	*v.p = n
	return nil
}

// numberValue is a number within bounds, fractions included.
type numberValue struct {
	p        *float64
	min, max float64
}

func (v numberValue) Type() string { return "number" }

func (v numberValue) String() string {
	if v.p == nil {
		return "0"
	}
	return strconv.FormatFloat(*v.p, 'f', -1, 64)
}

func (v numberValue) Set(s string) error {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(n >= v.min && n <= v.max) { // NaN too
		return fmt.Errorf("want a number from %v to %v", v.min, v.max)
	}
	*v.p = n
	return nil
}

// bytesValue is a size: a number of bytes, or with KiB, MiB or GiB behind it.
type bytesValue struct {
	p        *int64
	min, max int64
}

var byteUnits = []struct {
	suffix string
	factor int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func (v bytesValue) Type() string { return "size" }

func (v bytesValue) String() string {
	if v.p == nil {
		return "0"
	}
	return printBytes(*v.p)
}

func printBytes(n int64) string {
	for _, u := range byteUnits {
		if n != 0 && n%u.factor == 0 && u.factor > 1 {
			return strconv.FormatInt(n/u.factor, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

func (v bytesValue) Set(s string) error {
	digits, factor := strings.TrimSpace(s), int64(1)
	for _, u := range byteUnits {
		if rest, found := strings.CutSuffix(digits, u.suffix); found {
			digits, factor = strings.TrimSpace(rest), u.factor
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor || n*factor < v.min || n*factor > v.max {
		return fmt.Errorf("want a size from %s to %s, in bytes or with KiB, MiB or GiB",
			printBytes(v.min), printBytes(v.max))
	}
	*v.p = n * factor
	return nil
}

// boolValue also takes on/off and yes/no, which .env files of the Python service use.
type boolValue struct{ p *bool }

func (v boolValue) Type() string     { return "bool" }
func (v boolValue) IsBoolFlag() bool { return true }

func (v boolValue) String() string {
	return strconv.FormatBool(v.p != nil && *v.p)
}

func (v boolValue) Set(s string) error {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "1", "t", "true", "on", "yes":
		*v.p = true
	case "0", "f", "false", "off", "no":
		*v.p = false
	default:
		return errors.New("want true or false")
	}
	return nil
}

// choiceValue is one word of a closed set; letter case does not matter.
type choiceValue struct {
	p       *string
	choices []string
}

func (v choiceValue) Type() string { return strings.Join(v.choices, "|") }

func (v choiceValue) String() string {
	if v.p == nil {
		return ""
	}
	return *v.p
}

func (v choiceValue) Set(s string) error {
	i := slices.IndexFunc(v.choices, func(c string) bool { return strings.EqualFold(c, strings.TrimSpace(s)) })
	if i < 0 {
		return fmt.Errorf("want one of %s", strings.Join(v.choices, ", "))
	}
	*v.p = v.choices[i]
	return nil
}

// textValue is any text.
type textValue struct{ p *string }

func (v textValue) Type() string { return "text" }

func (v textValue) String() string {
	if v.p == nil {
		return ""
	}
	return *v.p
}

func (v textValue) Set(s string) error {
	*v.p = s
	return nil
}

// listValue is words separated by commas; white space and empty words are dropped.
type listValue struct{ p *[]string }

func (v listValue) Type() string { return "list" }

func (v listValue) String() string {
	if v.p == nil {
		return ""
	}
	return strings.Join(*v.p, ",")
}

func (v listValue) Set(s string) error {
	var words []string
	for _, w := range strings.Split(s, ",") {
		if w = strings.TrimSpace(w); w != "" {
			words = append(words, w)
		}
	}
	*v.p = words
	return nil
}

// storageValue is memory:// or a redis:// URL. It never prints the password that the URL may hold.
type storageValue struct{ p *string }

func (v storageValue) Type() string { return "url" }

func (v storageValue) String() string {
	if v.p == nil {
		return ""
	}
	u, err := url.Parse(*v.p)
	if err != nil {
		return masked
	}
	if _, secret := u.User.Password(); !secret {
		return *v.p
	}
	return u.Redacted()
}

func (v storageValue) Set(s string) error {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Scheme != "memory" && (u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "") {
		return errors.New("want memory:// or a redis:// URL") // without the text, which may hold a password
	}
	*v.p = strings.TrimSpace(s)
	if u.Scheme == "memory" {
		*v.p = memoryStorage
	}
	return nil
}

// endpointValue is where an API is; it has no place for a password.
type endpointValue struct{ p *string }

func (v endpointValue) Type() string { return "url" }

func (v endpointValue) String() string {
	if v.p == nil {
		return ""
	}
	return *v.p
}

func (v endpointValue) Set(s string) error {
	s = strings.TrimSpace(s)
	if s != "" {
		if _, err := answer.ParseURL(s); err != nil {
			return err
		}
	}
	*v.p = s
	return nil
}

// dsnValue is the address of a database. It prints none that is refused, for that may hold a
// password anywhere.
type dsnValue struct{ p *string }

func (v dsnValue) Type() string { return "text" }

func (v dsnValue) String() string {
	if v.p == nil {
		return ""
	}
	if *v.p != "" && pool.CheckDSN(*v.p) != nil {
		return masked + " (refused)"
	}
	return *v.p
}

func (v dsnValue) Set(s string) error {
	*v.p = s
	return nil
}

// levelValue is a level of slog, changed in place so that it can also move while the server runs.
type levelValue struct{ p *slog.LevelVar }

func (v levelValue) Type() string { return "debug|info|warn|error" }

func (v levelValue) String() string {
	if v.p == nil {
		return "info"
	}
	return strings.ToLower(v.p.Level().String())
}

func (v levelValue) Set(s string) error {
	switch s := strings.ToLower(strings.TrimSpace(s)); s {
	case "debug", "info", "warn", "error":
		return v.p.UnmarshalText([]byte(s))
	}
	return errors.New("want one of debug, info, warn, error")
}

// A secret prints as stars wherever it is formatted or logged; only reveal gives it out.
type secret struct{ text string }

const masked = "********"

func (s secret) reveal() string { return s.text }

// String masks a secret that is set and is empty for one that is not.
func (s secret) String() string {
	if s.text == "" {
		return ""
	}
	return masked
}

// GoString keeps %#v from printing the field.
func (s secret) GoString() string { return s.String() }

// LogValue keeps slog from printing the field.
func (s secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps encoders from printing the field.
func (s secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

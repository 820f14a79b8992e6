package answer

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// The settings that faults name.
const (
	settingURL         = "ANSWER_URL"
	settingModel       = "ANSWER_MODEL"
	settingKey         = "ANSWER_API_KEY"
	settingTimeout     = "--answer-timeout"
	settingIdle        = "--answer-idle-timeout"
	settingConcurrency = "--answer-concurrency"
	settingTokens      = "--answer-max-tokens"
)

// maxModel bounds the name of a model, bytes.
const maxModel = 256

// Validate reports every fault at once, each naming the setting, its value and the range. It
// prints neither the key nor a URL that may hold one.
func (cfg Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	c := cfg.Chat
	for _, n := range []struct {
		what            string
		value, min, max int
	}{
		{"MaxSentences", cfg.MaxSentences, 1, 50}, {"MaxBytes", cfg.MaxBytes, 1 << 10, 64 << 10},
		{settingConcurrency, c.Slots, 1, 10_000}, {"Queue", c.Queue, 1, 10_000},
		{settingTokens, c.MaxTokens, 1, 32_768}, {"ContextBytes", c.ContextBytes, 1 << 10, 1 << 20},
		{"CacheBytes", c.CacheBytes, 64 << 10, 1 << 30},
	} {
		if n.value != 0 && (n.value < n.min || n.value > n.max) {
			fault("%s is %d: want %d to %d", n.what, n.value, n.min, n.max)
		}
	}
	const ms = time.Millisecond
	for _, d := range []struct {
		what       string
		value, max time.Duration
	}{
		{settingTimeout, c.Timeout, time.Hour}, {settingIdle, c.IdleTimeout, time.Hour},
		{"SlotWait", c.SlotWait, time.Minute},
	} {
		if d.value != 0 && (d.value < ms || d.value > d.max) {
			fault("%s is %v: want %v to %v", d.what, d.value, ms, d.max)
		}
	}
	if c.Timeout > 0 && c.IdleTimeout > c.Timeout {
		fault("%s is %v, longer than %s %v: no silence could end an answer", settingIdle, c.IdleTimeout, settingTimeout, c.Timeout)
	}
	if c.URL == "" {
		if c.Model != "" {
			fault("%s is %q, but %s is empty: want the API that has the model", settingModel, c.Model, settingURL)
		}
		return errors.Join(faults...)
	}
	if _, err := ParseURL(c.URL); err != nil {
		fault("%s: %w", settingURL, err)
	}
	if c.Model == "" || len(c.Model) > maxModel {
		fault("%s has %d bytes: with %s, want the name of a model, 1 to %d bytes", settingModel, len(c.Model), settingURL, maxModel)
	}
	if strings.ContainsFunc(string(c.APIKey), func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		fault("%s holds white space or something else that cannot stand in a header", settingKey)
	}
	return errors.Join(faults...)
}

// ParseURL reads ANSWER_URL and returns where to send requests. Its error does not repeat the
// text, which may hold a key.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("want an http:// or https:// URL, such as http://127.0.0.1:11434/v1")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("want a URL without user, query and fragment: the key belongs in " + settingKey)
	}
	const path = "/chat/completions"
	if !strings.HasSuffix(u.Path, path) {
		u = u.JoinPath(path)
	}
	return u, nil
}

func (cfg Config) withDefaults() Config {
	defaultTo(&cfg.MaxSentences, 5)
	defaultTo(&cfg.MaxBytes, 2048)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &cfg.Chat
	defaultTo(&c.Timeout, 20*time.Second)
	defaultTo(&c.IdleTimeout, min(5*time.Second, c.Timeout))
	defaultTo(&c.Slots, 4)
	defaultTo(&c.Queue, c.Slots)
	defaultTo(&c.SlotWait, 100*time.Millisecond)
	defaultTo(&c.MaxTokens, 512)
	defaultTo(&c.ContextBytes, 12<<10)
	defaultTo(&c.CacheTTL, 10*time.Minute)
	defaultTo(&c.CacheBytes, 4<<20)
	return cfg
}

func defaultTo[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// inTheClear tells whether what is sent to u can be read on the way.
func inTheClear(u *url.URL) bool {
	if u.Scheme != "http" || u.Hostname() == "localhost" {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return err != nil || !a.IsLoopback()
}

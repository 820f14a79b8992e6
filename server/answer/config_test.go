package answer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAllFaultsAtOnce(t *testing.T) {
	_, err := New(Config{MaxSentences: -1, Chat: Chat{
		URL: "ftp://user:hunter2@example.org", APIKey: "hunter2\n", Timeout: time.Second, IdleTimeout: time.Minute, Slots: -1, MaxTokens: 1 << 20, CacheBytes: 1,
	}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"MaxSentences is -1: want 1 to 50", "ANSWER_URL: want an http", "ANSWER_MODEL has 0 bytes", "ANSWER_API_KEY holds white space",
		"--answer-idle-timeout is 1m0s, longer than --answer-timeout 1s", "--answer-concurrency is -1", "--answer-max-tokens is 1048576", "CacheBytes is 1",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report lacks %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the report gives a password away: %v", err)
	}
	if _, err := New(Config{Chat: Chat{Model: "m"}}); err == nil || !strings.Contains(err.Error(), `ANSWER_MODEL is "m", but ANSWER_URL is empty`) {
		t.Errorf("a model without an API: %v", err)
	}
}

func TestParseURL(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		u, err := ParseURL(text)
		if got := fmt.Sprint(u); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: %s, %v; want %q", text, got, err, want)
		}
	}
	f("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1/chat/completions")
	f("http://127.0.0.1:11434/v1/ ", "http://127.0.0.1:11434/v1/chat/completions")
	f("https://example.org/v1beta/openai/chat/completions", "https://example.org/v1beta/openai/chat/completions")
	f("http://vllm:8000", "http://vllm:8000/chat/completions")
	f("127.0.0.1:11434", "")
	f("http://", "")
	f("http://:80", "")
	f("https://k:s@example.org", "")
	f("https://example.org/v1?key=s", "")
	f("https://example.org/v1#s", "")
	f("\x00", "")
}

func TestKeysAreNeverPrinted(t *testing.T) {
	const key = Key("hunter2")
	cfg := Config{Chat: Chat{APIKey: key}}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %q %x", key, cfg, cfg, key, key, key)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("settings", "key", key, "config", cfg)
	encoded, err := json.Marshal(cfg.Chat)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	if s := out.String(); strings.Contains(s, "hunter2") || strings.Contains(s, "68756e74") || !strings.Contains(s, masked) {
		t.Error(s)
	}
}

// A failure is logged once a minute, naming the setting that mends it and no secret.
func TestFailuresAreLoggedSparsely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := api(t, Chat{APIKey: "hunter2", Breaker: opensAfter(t, 100), Slots: 1}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			fmt.Fprint(w, "the key hunter2 is wrong, and so is dasein")
		})
		a.chat.log = slog.New(slog.NewTextHandler(&log, nil))
		for range 5 {
			if _, err := a.Answer(t.Context(), twoPassages(), nil); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(reportEvery)
		if _, err := a.Answer(t.Context(), twoPassages(), nil); err != nil {
			t.Fatal(err)
		}
		s := log.String()
		if strings.Count(s, "\n") != 2 || !strings.Contains(s, "ANSWER_API_KEY") || strings.Contains(s, "hunter2") || strings.Contains(s, "dasein") {
			t.Errorf("log:\n%s", s)
		}
	})
}

func TestKeysInTheClearAreWarnedOf(t *testing.T) {
	f := func(url string, want bool) {
		t.Helper()
		var log bytes.Buffer
		a := open(t, Config{Chat: Chat{URL: url, Model: "m", APIKey: "k"}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		a.Close()
		if got := strings.Contains(log.String(), "unencrypted"); got != want {
			t.Errorf("%s: warned %v, want %v", url, got, want)
		}
	}
	f("https://example.org", false)
	f("http://127.0.0.1:11434", false)
	f("http://[::1]:11434", false)
	f("http://localhost:11434", false)
	f("http://vllm:8000", true)
	f("http://10.0.0.7", true)
}

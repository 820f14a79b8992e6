package limit

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestClientKey(t *testing.T) {
	trusted, err := ParsePrefixes("10.0.0.0/8, 192.0.2.7 2001:db8:ffff::/48 ::ffff:172.16.0.0/108")
	if err != nil {
		t.Fatal(err)
	}
	f := func(why, remote string, proxies []netip.Prefix, want string, forwarded ...string) {
		t.Helper()
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		for _, v := range forwarded {
			r.Header.Add("X-Forwarded-For", v)
		}
		if got := ClientKey(r, proxies); got != want {
			t.Errorf("%s: got %q, want %q", why, got, want)
		}
	}
	f("plain", "203.0.113.5:4711", nil, "203.0.113.5")
	f("forged, nothing trusted", "203.0.113.5:4711", nil, "203.0.113.5", "1.2.3.4")
	f("forged, peer not trusted", "203.0.113.5:4711", trusted, "203.0.113.5", "1.2.3.4")
	f("one proxy", "10.1.1.1:80", trusted, "203.0.113.5", "203.0.113.5")
	f("forged left of the proxy's entry", "10.1.1.1:80", trusted, "203.0.113.5", "1.2.3.4, 5.6.7.8, 203.0.113.5")
	f("forged trusted address at the left", "10.1.1.1:80", trusted, "203.0.113.5", "10.9.9.9, 203.0.113.5")
	f("two proxies", "10.1.1.1:80", trusted, "203.0.113.5", "203.0.113.5, 192.0.2.7")
	f("several lines are one list", "10.1.1.1:80", trusted, "203.0.113.5", "1.2.3.4", "203.0.113.5", "192.0.2.7")
	f("all trusted: the leftmost", "10.1.1.1:80", trusted, "10.3.3.3", "10.3.3.3,10.2.2.2")
	f("trusted proxy, no header", "10.1.1.1:80", trusted, "10.1.1.1")
	f("no address: the proxy that wrote it", "10.1.1.1:80", trusted, "192.0.2.7", "203.0.113.5, unknown, 192.0.2.7")
	f("empty entry", "10.1.1.1:80", trusted, "10.1.1.1", "203.0.113.5,")
	f("with port", "10.1.1.1:80", trusted, "203.0.113.5", "203.0.113.5:999")
	f("brackets", "10.1.1.1:80", trusted, "2001:db8:1:2::/64", "[2001:db8:1:2::3]")
	f("brackets and port", "10.1.1.1:80", trusted, "2001:db8:1:2::/64", "[2001:db8:1:2::3]:9")
	f("brackets around IPv4 are no address", "10.1.1.1:80", trusted, "10.1.1.1", "[1.2.3.4]")
	f("IPv6 by /64", "[2001:db8:1:2:3:4:5:6]:80", nil, "2001:db8:1:2::/64")
	f("IPv6, another host of the /64", "[2001:db8:1:2:ffff::1]:80", nil, "2001:db8:1:2::/64")
	f("mapped IPv4", "[::ffff:203.0.113.5]:80", nil, "203.0.113.5")
	f("mapped IPv4 proxy", "[::ffff:10.0.0.1]:80", trusted, "203.0.113.5", "::ffff:203.0.113.5")
	f("mapped network in the setting", "172.16.5.5:80", trusted, "203.0.113.5", "203.0.113.5")
	f("zone", "[fe80::1%eth0]:80", nil, "fe80::/64")
	f("IPv6 proxy", "[2001:db8:ffff::1]:80", trusted, "203.0.113.5", "203.0.113.5")
	f("unix socket", "@", trusted, "local", "203.0.113.5")
	f("endless chain", "10.1.1.1:80", trusted, "10.1.1.1", "203.0.113.5,"+strings.Repeat("10.1.1.1,", 5000)+"10.1.1.1")
}

func FuzzClientKey(f *testing.F) {
	trusted, _ := ParsePrefixes("10.0.0.0/8")
	f.Add("1.2.3.4, 10.0.0.1")
	f.Add("[::1]:80,unknown")
	f.Fuzz(func(t *testing.T, forged string) {
		r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {forged + ", 203.0.113.5"}}}
		if got := ClientKey(r, trusted); got != "203.0.113.5" {
			t.Errorf("forging %q made the client %q", forged, got)
		}
		r.RemoteAddr = "203.0.113.6:1"
		if got := ClientKey(r, trusted); got != "203.0.113.6" {
			t.Errorf("forging %q made an untrusted peer %q", forged, got)
		}
		r = &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {forged}}}
		if got := ClientKey(r, trusted); len(got) > 50 {
			t.Errorf("forging %q made a key of %d bytes", forged, len(got))
		}
	})
}

func TestUserKey(t *testing.T) {
	if UserKey("", "10.0.0.1") == UserKey("10.0.0.1", "x") || UserKey("", "a") == UserKey("address:a", "b") {
		t.Error("a user can name itself like an address")
	}
}

func TestParsePrefixes(t *testing.T) {
	got, err := ParsePrefixes(" 10.1.2.3/8,2001:db8::1  ")
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	_, err = ParsePrefixes("proxy.example 10.0.0.0/33 ::ffff:0:0/90 fe80::1%eth0")
	for _, bad := range []string{"proxy.example", "10.0.0.0/33", "::ffff:0:0/90", "fe80::1%eth0"} {
		if err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%v does not name %s", err, bad)
		}
	}
}

func TestWriteHeaders(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) time.Time { return now.Add(d) }
	f := func(why string, want map[string]string, decisions ...Decision) {
		t.Helper()
		h := http.Header{}
		WriteHeaders(h, decisions...)
		got := map[string]string{}
		for k := range h {
			got[k] = strings.Join(h[k], "|")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", why, diff)
		}
	}
	unix := func(d time.Duration) string { return itoa(ceilUnix(at(d))) }
	f("no rule is on", map[string]string{})
	f("admitted: the scarcer rule first", map[string]string{
		"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "7", "X-RateLimit-Reset": unix(59500 * time.Millisecond),
		"RateLimit-Policy": `"global";q=1000;w=60, "search";q=100;w=60`,
		"RateLimit":        `"global";r=900;t=31, "search";r=7;t=60`,
	},
		Decision{Rule: globalRule, Allowed: true, Limit: 1000, Remaining: 900, Reset: at(30500 * time.Millisecond)},
		Decision{Rule: searchRule, Allowed: true, Limit: 100, Remaining: 7, Reset: at(59500 * time.Millisecond)})
	f("refused: the longest wait, rounded up", map[string]string{
		"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": unix(50 * time.Second), "Retry-After": "20",
		"RateLimit-Policy": `"global";q=1000;w=60, "search";q=100;w=60`,
		"RateLimit":        `"global";r=0;t=1, "search";r=0;t=20`,
	},
		Decision{Rule: globalRule, Limit: 1000, RetryAfter: time.Millisecond, Reset: at(time.Second)},
		Decision{Rule: searchRule, Limit: 100, RetryAfter: 19001 * time.Millisecond, Reset: at(50 * time.Second)})
	f("admitted as the last one: when the next is free", map[string]string{
		"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": unix(time.Minute),
		"RateLimit-Policy": `"ingest";q=10;w=60`, "RateLimit": `"ingest";r=0;t=12`,
	},
		Decision{Rule: ingestRule, Allowed: true, Limit: 10, RetryAfter: 12 * time.Second, Reset: at(time.Minute)})
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

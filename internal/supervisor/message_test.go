//go:build unix

package supervisor

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestListen(t *testing.T) {
	f := func(why, text string, want ...message) {
		t.Helper()
		var got []message
		if err := listen(iotest.OneByteReader(strings.NewReader(text)), func(m message) { got = append(got, m) }); err != nil {
			t.Errorf("%s: %v", why, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
	}
	f("nothing", "")
	f("all there is", "READY=1\nSTATUS=Serving\nWATCHDOG=1\nSTOPPING=1\nX_SUCCEEDED=1\n", msgReady, msgOther, msgAlive, msgStopping, msgSucceeded)
	f("ended by death in mid-word", "READY=1\nSTOPPING=1", msgReady)
	f("no such words", "READY=0\n\nREADY\n READY=1\n", msgOther, msgOther, msgOther, msgOther)
	if err := listen(strings.NewReader(strings.Repeat("x", maxMessage+1)+"\nREADY=1\n"), func(m message) { t.Errorf("heard %v", m) }); err == nil {
		t.Error("a message beyond the bound is no error")
	}
}

func FuzzListen(f *testing.F) {
	f.Add([]byte("READY=1\nSTATUS=x\nSTOPPING=1\n"))
	f.Add([]byte("WATCHDOG=1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		_ = listen(strings.NewReader(string(data)), func(message) { n++ })
		if lines := strings.Count(string(data), "\n"); n > lines {
			t.Errorf("%d messages in %d lines", n, lines)
		}
	})
}

func TestControl(t *testing.T) {
	heard := 0
	f := func(why string, want error, do func(c *Control, other net.Conn)) {
		t.Helper()
		ours, theirs, err := socketPair()
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewControl(theirs)
		if err != nil {
			t.Fatal(err)
		}
		go do(c, ours)
		if err := c.Wait(func() { heard++ }); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", why, err, want)
		}
		_, _ = c.Close(), ours.Close()
	}
	f("a successor", ErrSucceeded, func(_ *Control, other net.Conn) { _ = say(other, succeeded) })
	f("words that mean nothing, then the supervisor's end", ErrOrphaned, func(_ *Control, other net.Conn) { _, _ = io.WriteString(other, "READY=1\nX_ALONE=1\n?"); other.Close() })
	if heard != 1 {
		t.Errorf("told %d times to be alone, want once", heard)
	}
	f("closed by the worker itself", net.ErrClosed, func(c *Control, _ net.Conn) { c.Close() })
}

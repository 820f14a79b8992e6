package trace

import (
	"net/http"
	"strings"
	"testing"
)

const goodParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestExtract(t *testing.T) {
	f := func(parent, want, why string) {
		t.Helper()
		got := Extract(http.Header{"Traceparent": {parent}})
		if want == "" && got != (SpanContext{}) || want != "" && got.parent() != want {
			t.Errorf("%s: %q is %+v, want %q", why, parent, got, want)
		}
	}
	f(goodParent, goodParent, "the example of W3C")
	f(" "+goodParent+"\t", goodParent, "white space around")
	f(strings.Replace(goodParent, "-01", "-00", 1), strings.Replace(goodParent, "-01", "-00", 1), "not sampled")
	f(strings.Replace(goodParent, "-01", "-ff", 1), goodParent, "flags that are not known yet")
	f("cc"+goodParent[2:], goodParent, "a version to come")
	f("cc"+goodParent[2:]+"-what-comes", goodParent, "a version to come that is longer")
	f("cc"+goodParent[2:]+"x", "", "a version to come, whose flags have three digits")
	f(goodParent+"-x", "", "version 00 is not longer")
	f("ff"+goodParent[2:], "", "ff is no version")
	f("0x"+goodParent[2:], "", "a version that is no number")
	f(strings.ToUpper(goodParent), "", "capitals")
	f("00-00000000000000000000000000000000-00f067aa0ba902b7-01", "", "a trace of zeros")
	f("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "", "a span of zeros")
	f("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", "", "no hexadecimal digit")
	f(goodParent[:54], "", "cut")
	f("", "", "empty")
	if got := Extract(http.Header{"Traceparent": {goodParent, goodParent}}); got.Valid() {
		t.Error("two of them are none")
	}
}

func TestState(t *testing.T) {
	f := func(want string, lines ...string) {
		t.Helper()
		got := Extract(http.Header{"Traceparent": {goodParent}, "Tracestate": lines}).State
		if got != want {
			t.Errorf("%q is %q, want %q", lines, got, want)
		}
	}
	f("")
	f("congo=t61rcWkgMzE", "congo=t61rcWkgMzE")
	f("a=1,b=2", "a=1", "b=2")
	f("", "a="+strings.Repeat("x", maxState))
	f("", "a=\x01")
}

func TestInject(t *testing.T) {
	tracer := newTestTracer(t, DefaultConfig(), &kept{})
	h := http.Header{}
	tracer.Root("r", Server, begun, http.Header{"Traceparent": {goodParent}, "Tracestate": {"a=1"}}).Child("c", Client).Inject(h)
	at := Extract(h)
	if !at.Valid() || at.Trace.String() != goodParent[3:35] || at.Span == Extract(http.Header{"Traceparent": {goodParent}}).Span || !at.Sampled || at.State != "a=1" {
		t.Errorf("%+v of %v", at, h)
	}
	cfg := DefaultConfig()
	cfg.Propagate = false
	h = http.Header{}
	root := newTestTracer(t, cfg, &kept{}).Root("r", Server, begun, http.Header{"Traceparent": {goodParent}})
	if root.Inject(h); len(h) > 0 || root.TraceID() == goodParent[3:35] {
		t.Errorf("without propagation: %v, %s", h, root.TraceID())
	}
}

func FuzzExtract(f *testing.F) {
	f.Add(goodParent, "a=1")
	f.Add("cc"+goodParent[2:]+"-x", "")
	f.Fuzz(func(t *testing.T, parent, state string) {
		c := Extract(http.Header{"Traceparent": {parent}, "Tracestate": {state}})
		if len(c.State) > maxState || strings.ContainsAny(c.State, "\r\n") {
			t.Errorf("%q", c.State)
		}
		if !c.Valid() {
			return
		}
		again := Extract(http.Header{"Traceparent": {c.parent()}, "Tracestate": {c.State}})
		if again != c {
			t.Errorf("%+v, then %+v", c, again)
		}
	})
}

func TestSamplers(t *testing.T) {
	f := func(s Sampler, parent SpanContext, least, most int, why string) {
		t.Helper()
		n := 0
		for range 1000 {
			if s(parent, newTraceID()) {
				n++
			}
		}
		if n < least || n > most {
			t.Errorf("%s: %d of 1000, want %d to %d", why, n, least, most)
		}
	}
	none, sampled := SpanContext{}, Extract(http.Header{"Traceparent": {goodParent}})
	left := sampled
	left.Sampled = false
	f(Ratio(1), none, 1000, 1000, "all")
	f(Ratio(0), none, 0, 0, "none")
	f(Ratio(0.25), none, 180, 320, "a quarter: five standard deviations are 68")
	f(Ratio(1), left, 1000, 1000, "not based on the parent")
	f(ParentBased(Ratio(0)), none, 0, 0, "no parent")
	f(ParentBased(Ratio(0)), sampled, 1000, 1000, "a parent that is recorded")
	f(ParentBased(Ratio(1)), left, 0, 0, "a parent that is not")
	// The lower half of the id decides, as in other languages.
	if low := (TraceID{8: 0x3f, 15: 1}); !Ratio(0.25)(none, low) || Ratio(0.24)(none, low) {
		t.Error("3f… lies between 0.24 and 0.25 of all ids")
	}
}

package trace

import (
	"encoding/binary"
	"math"
)

// A Sampler decides whether a trace is recorded, from the caller's span, if there is one, and the trace's id.
type Sampler func(parent SpanContext, trace TraceID) bool

// Ratio records this share of all traces, 0 to 1, chosen by their ids as OpenTelemetry's TraceIdRatioBased does, so
// that services with the same ratio choose the same traces.
func Ratio(share float64) Sampler {
	if share >= 1 {
		return func(SpanContext, TraceID) bool { return true }
	}
	bound := uint64(math.Max(0, share) * (1 << 63))
	return func(_ SpanContext, trace TraceID) bool { return binary.BigEndian.Uint64(trace[8:])>>1 < bound }
}

// ParentBased does as the caller did, and asks root where there is none.
func ParentBased(root Sampler) Sampler {
	return func(parent SpanContext, trace TraceID) bool {
		if parent.Valid() {
			return parent.Sampled
		}
		return root(parent, trace)
	}
}

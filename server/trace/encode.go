package trace

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
)

// scopeName says who made the spans, as OTLP wants it of each library that does.
const scopeName = "github.com/tomehub/tomehub/server/trace"

// request makes the message of a batch.
func request(from []Attr, batch []*Span) *collector.ExportTraceServiceRequest {
	spans := make([]*otlp.Span, len(batch))
	for i, s := range batch {
		spans[i] = s.message()
	}
	return &collector.ExportTraceServiceRequest{ResourceSpans: []*otlp.ResourceSpans{{
		Resource:   &resource.Resource{Attributes: keyValues(from)},
		ScopeSpans: []*otlp.ScopeSpans{{Scope: &common.InstrumentationScope{Name: scopeName}, Spans: spans}},
	}}}
}

// message is the span in OTLP. The span has ended.
func (s *Span) message() *otlp.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &otlp.Span{
		TraceId: s.at.Trace[:], SpanId: s.at.Span[:], TraceState: s.at.State, Flags: flagsOf(s.at, s.remote),
		Name: s.name, Kind: otlp.Span_SpanKind(s.kind), Attributes: keyValues(s.attrs),
		StartTimeUnixNano: nanos(s.start), EndTimeUnixNano: nanos(s.end),
	}
	if s.parent != (SpanID{}) {
		m.ParentSpanId = s.parent[:]
	}
	for _, e := range s.events {
		m.Events = append(m.Events, &otlp.Span_Event{TimeUnixNano: nanos(e.at), Name: e.name, Attributes: keyValues(e.attrs)})
	}
	for _, l := range s.links {
		m.Links = append(m.Links, &otlp.Span_Link{TraceId: l.Trace[:], SpanId: l.Span[:], TraceState: l.State, Flags: flagsOf(l, false)})
	}
	if s.failed {
		m.Status = &otlp.Status{Code: otlp.Status_STATUS_CODE_ERROR, Message: s.why}
	}
	return m
}

func nanos(t time.Time) uint64 { return uint64(t.UnixNano()) }

// flagsOf are W3C's flags, and whether the parent is another service's, which is known.
func flagsOf(c SpanContext, remote bool) uint32 {
	flags := uint32(otlp.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	if c.Sampled {
		flags |= 1
	}
	if remote {
		flags |= uint32(otlp.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	return flags
}

func keyValues(attrs []Attr) []*common.KeyValue {
	list := make([]*common.KeyValue, len(attrs))
	for i, a := range attrs {
		v := &common.AnyValue{}
		switch value := a.value.(type) {
		case string:
			v.Value = &common.AnyValue_StringValue{StringValue: value}
		case int64:
			v.Value = &common.AnyValue_IntValue{IntValue: value}
		case float64:
			v.Value = &common.AnyValue_DoubleValue{DoubleValue: value}
		case bool:
			v.Value = &common.AnyValue_BoolValue{BoolValue: value}
		}
		list[i] = &common.KeyValue{Key: a.Key, Value: v}
	}
	return list
}

// The messages in OTLP's JSON, which is not protobuf's: ids are hexadecimal and kinds numbers.
type (
	jsonRequest struct {
		ResourceSpans []jsonResourceSpans `json:"resourceSpans"`
	}
	jsonResourceSpans struct {
		Resource   jsonResource     `json:"resource"`
		ScopeSpans []jsonScopeSpans `json:"scopeSpans"`
	}
	jsonResource struct {
		Attributes []jsonKeyValue `json:"attributes"`
	}
	jsonScopeSpans struct {
		Scope jsonScope  `json:"scope"`
		Spans []jsonSpan `json:"spans"`
	}
	jsonScope struct {
		Name string `json:"name"`
	}
	jsonSpan struct {
		TraceID      string         `json:"traceId"`
		SpanID       string         `json:"spanId"`
		TraceState   string         `json:"traceState,omitempty"`
		ParentSpanID string         `json:"parentSpanId,omitempty"`
		Flags        uint32         `json:"flags"`
		Name         string         `json:"name"`
		Kind         int32          `json:"kind"`
		Start        string         `json:"startTimeUnixNano"`
		End          string         `json:"endTimeUnixNano"`
		Attributes   []jsonKeyValue `json:"attributes,omitempty"`
		Events       []jsonEvent    `json:"events,omitempty"`
		Links        []jsonLink     `json:"links,omitempty"`
		Status       jsonStatus     `json:"status"`
	}
	jsonEvent struct {
		Time       string         `json:"timeUnixNano"`
		Name       string         `json:"name"`
		Attributes []jsonKeyValue `json:"attributes,omitempty"`
	}
	jsonLink struct {
		TraceID    string `json:"traceId"`
		SpanID     string `json:"spanId"`
		TraceState string `json:"traceState,omitempty"`
		Flags      uint32 `json:"flags"`
	}
	jsonStatus struct {
		Code    int32  `json:"code,omitempty"`
		Message string `json:"message,omitempty"`
	}
	jsonKeyValue struct {
		Key   string    `json:"key"`
		Value jsonValue `json:"value"`
	}
	jsonValue struct {
		String *string  `json:"stringValue,omitempty"`
		Int    *string  `json:"intValue,omitempty"` // protobuf's JSON has numbers of 64 bits as text
		Double *float64 `json:"doubleValue,omitempty"`
		Bool   *bool    `json:"boolValue,omitempty"`
	}
)

// inJSON is a message of request in OTLP's JSON.
func inJSON(m *collector.ExportTraceServiceRequest) ([]byte, error) {
	var out jsonRequest
	for _, r := range m.ResourceSpans {
		all := jsonResourceSpans{Resource: jsonResource{jsonKeyValues(r.Resource.GetAttributes())}}
		for _, s := range r.ScopeSpans {
			scope := jsonScopeSpans{Scope: jsonScope{s.Scope.GetName()}}
			for _, span := range s.Spans {
				scope.Spans = append(scope.Spans, spanInJSON(span))
			}
			all.ScopeSpans = append(all.ScopeSpans, scope)
		}
		out.ResourceSpans = append(out.ResourceSpans, all)
	}
	return json.Marshal(out)
}

func spanInJSON(m *otlp.Span) jsonSpan {
	s := jsonSpan{
		TraceID: hex.EncodeToString(m.TraceId), SpanID: hex.EncodeToString(m.SpanId), TraceState: m.TraceState,
		ParentSpanID: hex.EncodeToString(m.ParentSpanId), Flags: m.Flags, Name: m.Name, Kind: int32(m.Kind),
		Start: digits(m.StartTimeUnixNano), End: digits(m.EndTimeUnixNano), Attributes: jsonKeyValues(m.Attributes),
		Status: jsonStatus{int32(m.Status.GetCode()), m.Status.GetMessage()},
	}
	for _, e := range m.Events {
		s.Events = append(s.Events, jsonEvent{digits(e.TimeUnixNano), e.Name, jsonKeyValues(e.Attributes)})
	}
	for _, l := range m.Links {
		s.Links = append(s.Links, jsonLink{hex.EncodeToString(l.TraceId), hex.EncodeToString(l.SpanId), l.TraceState, l.Flags})
	}
	return s
}

func digits(n uint64) string { return strconv.FormatUint(n, 10) }

func jsonKeyValues(list []*common.KeyValue) []jsonKeyValue {
	out := make([]jsonKeyValue, len(list))
	for i, kv := range list {
		out[i].Key = kv.Key
		switch v := kv.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[i].Value.String = &v.StringValue
		case *common.AnyValue_IntValue:
			text := strconv.FormatInt(v.IntValue, 10)
			out[i].Value.Int = &text
		case *common.AnyValue_DoubleValue:
			out[i].Value.Double = &v.DoubleValue
		case *common.AnyValue_BoolValue:
			out[i].Value.Bool = &v.BoolValue
		}
	}
	return out
}

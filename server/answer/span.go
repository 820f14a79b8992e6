package answer

import (
	"context"
	"net/http"

	"github.com/tomehub/tomehub/server/trace"
)

// beginSpan begins the span of a call, and has the API find it. A request that is not recorded is told to the API as such.
func (c *chat) beginSpan(ctx context.Context, req *http.Request) *trace.Span {
	span := trace.From(ctx).Child("chat "+c.cfg.Model, trace.Client)
	if span == nil {
		trace.From(ctx).Inject(req.Header)
		return nil
	}
	span.Set(trace.String("gen_ai.operation.name", "chat"), trace.String("gen_ai.request.model", c.cfg.Model),
		trace.String("http.request.method", req.Method), trace.String("server.address", req.URL.Hostname()))
	span.Inject(req.Header)
	return span
}

func endSpan(span *trace.Span, err error) {
	if err != nil {
		span.Fail(string(reasonOf(err)), "")
	}
	span.End()
}

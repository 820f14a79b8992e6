package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// OTLPConfig says where a collector is. Start from DefaultOTLP.
type OTLPConfig struct {
	URL     string // whole, with its path, such as http://127.0.0.1:4318/v1/traces
	JSON    bool   // http/json instead of http/protobuf
	Gzip    bool
	Headers map[string]string // may hold a token; neither logged nor part of an error
	Timeout time.Duration     // longest time of an export with its repetitions (OTEL_EXPORTER_OTLP_TIMEOUT)

	Resource []Attr // what all spans are from: service.name and its like
}

// DefaultOTLP is a collector on this machine, at the port that OTLP over HTTP has.
func DefaultOTLP() OTLPConfig {
	return OTLPConfig{URL: "http://localhost:4318/v1/traces", Timeout: 10 * time.Second}
}

// OTLP sends spans to a collector by HTTP. Make it with NewOTLP.
type OTLP struct {
	cfg    OTLPConfig
	client *http.Client
}

// NewOTLP checks the configuration. It connects with the first batch: a collector that is down keeps no server from
// starting.
func NewOTLP(cfg OTLPConfig) (*OTLP, error) {
	if err := CheckURL(cfg.URL); err != nil {
		return nil, err
	}
	if cfg.Timeout <= 0 {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT is %v: want more than 0", cfg.Timeout)
	}
	return &OTLP{cfg: cfg, client: &http.Client{
		// A redirect would carry the headers to whoever it names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 1, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10},
	}}, nil
}

// CheckURL says what is wrong with the address of a collector, without repeating it: it may hold a password.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return errors.New("OTEL_EXPORTER_OTLP_ENDPOINT is no URL such as http://127.0.0.1:4318")
	case u.User != nil:
		return errors.New("OTEL_EXPORTER_OTLP_ENDPOINT holds a user: put Authorization into OTEL_EXPORTER_OTLP_HEADERS")
	}
	return nil
}

// Close closes the connection.
func (o *OTLP) Close() { o.client.CloseIdleConnections() }

const (
	firstPause   = time.Second // before the first repetition; each next one is twice as long
	maxCollected = 64 << 10    // bytes of an answer that are read
)

// Export sends a batch, again when the collector is away or asks for that, as long as Timeout allows.
func (o *OTLP) Export(ctx context.Context, batch []*Span) (refused int, err error) {
	body, err := o.body(batch)
	if err != nil {
		return 0, fmt.Errorf("encode spans: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	for pause := firstPause; ; pause *= 2 {
		refused, again, err := o.post(ctx, body)
		if err == nil || again < 0 {
			return refused, err
		}
		// Half of it by chance, so that replicas do not come back together.
		wait := max(again, pause/2+rand.N(pause/2))
		if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
			return 0, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, err
		}
	}
}

func (o *OTLP) body(batch []*Span) ([]byte, error) {
	message := request(o.cfg.Resource, batch)
	var body []byte
	var err error
	if o.cfg.JSON {
		body, err = inJSON(message)
	} else {
		body, err = proto.Marshal(message)
	}
	if err != nil || !o.cfg.Gzip {
		return body, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// post sends a body once. When it may be sent again, again says after which time at the earliest; else it is negative.
func (o *OTLP) post(ctx context.Context, body []byte) (refused int, again time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return 0, -1, errors.New("send spans: the collector's address is no URL (OTEL_EXPORTER_OTLP_ENDPOINT)")
	}
	for name, value := range o.cfg.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("User-Agent", "tomehub")
	req.Header.Set("Content-Type", "application/x-protobuf")
	if o.cfg.JSON {
		req.Header.Set("Content-Type", "application/json")
	}
	if o.cfg.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := o.client.Do(req)
	if err != nil {
		return 0, 0, fmt.Errorf("send spans (OTEL_EXPORTER_OTLP_ENDPOINT): %w", bare(err))
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxCollected)) // what cannot be read refuses nothing
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return refusedOf(resp.Header.Get("Content-Type"), answer), -1, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 when it says nothing, or a date
		return 0, max(0, time.Duration(seconds)*time.Second), fmt.Errorf("send spans: the collector answers %d", resp.StatusCode)
	}
	return 0, -1, fmt.Errorf("send spans: the collector answers %d (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS)", resp.StatusCode)
}

// bare is a client's error without the address, which may hold what is nobody's business.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// refusedOf reads how many spans the collector did not take, 0 when it does not say.
func refusedOf(contentType string, answer []byte) int {
	if strings.HasPrefix(contentType, "application/json") {
		var said struct {
			PartialSuccess struct {
				RejectedSpans json.Number `json:"rejectedSpans"` // a text or a number
			} `json:"partialSuccess"`
		}
		if json.Unmarshal(answer, &said) != nil {
			return 0
		}
		n, _ := strconv.Atoi(said.PartialSuccess.RejectedSpans.String())
		return max(0, n)
	}
	var said collector.ExportTraceServiceResponse
	if proto.Unmarshal(answer, &said) != nil {
		return 0
	}
	return int(max(0, said.GetPartialSuccess().GetRejectedSpans()))
}

// Console writes spans for people and tests: a line of OTLP's JSON for each batch.
type Console struct {
	to   io.Writer
	from []Attr
}

// NewConsole returns an exporter that writes to w; resource is as OTLPConfig.Resource.
func NewConsole(w io.Writer, resource []Attr) *Console { return &Console{w, resource} }

// Export writes one line.
func (c *Console) Export(_ context.Context, batch []*Span) (refused int, err error) {
	line, err := inJSON(request(c.from, batch))
	if err == nil {
		_, err = c.to.Write(append(line, '\n'))
	}
	if err != nil {
		return 0, fmt.Errorf("write spans: %w", err)
	}
	return 0, nil
}

// Close does nothing: the writer is the caller's.
func (c *Console) Close() {}

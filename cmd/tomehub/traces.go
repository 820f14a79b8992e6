package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/trace"
)

// traceSettings are OpenTelemetry's own variables. They have no flags: whoever runs a collector sets them for all services
// alike. Traces are off until an exporter or the address of a collector is set.
type traceSettings struct {
	disabled                   bool
	exporter, propagators      string
	service, resource          string
	sampler, samplerArg        string
	endpoint, tracesEndpoint   string
	protocol, tracesProtocol   string
	headers, tracesHeaders     secret
	compression, tracesPacking string
	timeout, tracesTimeout     int // milliseconds; tracesTimeout 0 is not set
	delay, exportTimeout       int // milliseconds
	queue, batch               int
}

// longestMS bounds the times of the variables, milliseconds: an hour.
const longestMS = 3600_000

var (
	traceExporters    = []string{"otlp", "console", "none"}
	traceSamplers     = []string{"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"}
	traceProtocols    = []string{protocolProtobuf, protocolJSON}
	traceCompressions = []string{"none", "gzip"}
)

const (
	protocolProtobuf = "http/protobuf"
	protocolJSON     = "http/json"
)

func (c *traceSettings) register(s *settings) {
	d := trace.DefaultConfig()
	c.sampler, c.protocol, c.compression, c.propagators, c.service = "parentbased_always_on", protocolProtobuf, "none", "tracecontext", "tomehub"
	c.timeout, c.delay, c.exportTimeout = int(trace.DefaultOTLP().Timeout.Milliseconds()), int(d.Delay.Milliseconds()), int(d.ExportTimeout.Milliseconds())
	c.queue, c.batch = d.Queue, d.Batch
	s.addVariable(boolValue{&c.disabled}, "OTEL_SDK_DISABLED", "true sends no traces, whatever else is set")
	s.addVariable(textValue{&c.exporter}, "OTEL_TRACES_EXPORTER", "otlp, console (lines of JSON on standard output) or none; without it, traces are sent when an address is set")
	s.addVariable(textValue{&c.endpoint}, "OTEL_EXPORTER_OTLP_ENDPOINT", "address of the collector, such as http://127.0.0.1:4318; /v1/traces is added")
	s.addVariable(textValue{&c.tracesEndpoint}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "the same for traces alone, taken as it is")
	s.addVariable(textValue{&c.protocol}, "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf or http/json")
	s.addVariable(textValue{&c.tracesProtocol}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "the same for traces alone")
	s.addSecret(&c.headers, "OTEL_EXPORTER_OTLP_HEADERS", "headers of each export, name=value,name=value with values percent-encoded")
	s.addSecret(&c.tracesHeaders, "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "the same for traces alone")
	s.addVariable(intValue{&c.timeout, 1, longestMS}, "OTEL_EXPORTER_OTLP_TIMEOUT", "longest time of an export with its repetitions, milliseconds")
	s.addVariable(intValue{&c.tracesTimeout, 1, longestMS}, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "the same for traces alone")
	s.addVariable(choiceValue{&c.compression, traceCompressions}, "OTEL_EXPORTER_OTLP_COMPRESSION", "none or gzip")
	s.addVariable(choiceValue{&c.tracesPacking, traceCompressions}, "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "the same for traces alone")
	s.addVariable(textValue{&c.service}, "OTEL_SERVICE_NAME", "name of this service in traces")
	s.addVariable(textValue{&c.resource}, "OTEL_RESOURCE_ATTRIBUTES", "what else all spans are from, name=value,name=value with values percent-encoded")
	s.addVariable(textValue{&c.sampler}, "OTEL_TRACES_SAMPLER", "which requests are recorded: "+strings.Join(traceSamplers, ", "))
	s.addVariable(textValue{&c.samplerArg}, "OTEL_TRACES_SAMPLER_ARG", "share of a traceidratio, 0 to 1")
	s.addVariable(textValue{&c.propagators}, "OTEL_PROPAGATORS", "tracecontext, or none; baggage is ignored")
	s.addVariable(intValue{&c.queue, 1, trace.MaxQueue}, "OTEL_BSP_MAX_QUEUE_SIZE", "most spans that wait to be sent; more are dropped")
	s.addVariable(intValue{&c.batch, 1, trace.MaxQueue}, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "most spans of one export")
	s.addVariable(intValue{&c.delay, 1, longestMS}, "OTEL_BSP_SCHEDULE_DELAY", "longest wait for a full batch, milliseconds")
	s.addVariable(intValue{&c.exportTimeout, 1, longestMS}, "OTEL_BSP_EXPORT_TIMEOUT", "longest time of one export, milliseconds")
}

// on says whether spans are recorded.
func (c *traceSettings) on() bool {
	switch {
	case c.disabled, c.exporter == "none":
		return false
	}
	return c.exporter != "" || c.endpoint != "" || c.tracesEndpoint != ""
}

// validate reports every fault, joined. What is off has none: the variables may be those of other services.
func (c *traceSettings) validate() error {
	if !c.on() {
		return nil
	}
	var faults []error
	if _, err := oneOf("OTEL_TRACES_EXPORTER", c.exporter, append([]string{""}, traceExporters...)); err != nil {
		faults = append(faults, err)
	}
	cfg, err := c.config()
	if err == nil {
		err = cfg.Validate()
	}
	_, resourceErr := c.attributes("")
	_, otlpErr := c.otlp(nil)
	return errors.Join(append(faults, err, resourceErr, otlpErr)...)
}

// oneOf says that value is one of few, in any letter case, and names them when it is not.
func oneOf(setting, value string, few []string) (string, error) {
	var found string
	if (choiceValue{&found, few}).Set(value) == nil {
		return found, nil
	}
	return "", fmt.Errorf("%s is %q: want one of %s; OTEL_SDK_DISABLED=true turns traces off here alone", setting, value, strings.TrimPrefix(strings.Join(few, ", "), ", "))
}

func (c *traceSettings) config() (trace.Config, error) {
	cfg := trace.DefaultConfig()
	cfg.Queue, cfg.Batch = c.queue, c.batch
	cfg.Delay, cfg.ExportTimeout = ms(c.delay), ms(c.exportTimeout)
	var err error
	cfg.Sampler, err = c.samplerOf()
	cfg.Propagate = false
	for word := range strings.SplitSeq(c.propagators, ",") {
		switch word = strings.TrimSpace(word); word {
		case "tracecontext":
			cfg.Propagate = true
		case "", "none", "baggage":
		default:
			err = errors.Join(err, fmt.Errorf("OTEL_PROPAGATORS has %q: want tracecontext or none; OTEL_SDK_DISABLED=true turns traces off here alone", word))
		}
	}
	return cfg, err
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func (c *traceSettings) samplerOf() (trace.Sampler, error) {
	name, err := oneOf("OTEL_TRACES_SAMPLER", c.sampler, traceSamplers)
	if err != nil {
		return nil, err
	}
	root, basedOnParent := strings.CutPrefix(name, "parentbased_")
	share := 1.0
	switch {
	case root == "always_off":
		share = 0
	case root == "traceidratio" && c.samplerArg != "":
		if share, err = strconv.ParseFloat(c.samplerArg, 64); err != nil || !(share >= 0 && share <= 1) {
			return nil, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG is %q: want a share from 0 to 1", c.samplerArg)
		}
	}
	if basedOnParent {
		return trace.ParentBased(trace.Ratio(share)), nil
	}
	return trace.Ratio(share), nil
}

// attributes are what all spans are from.
func (c *traceSettings) attributes(phase string) ([]trace.Attr, error) {
	given, err := pairs("OTEL_RESOURCE_ATTRIBUTES", c.resource)
	if err != nil {
		return nil, err
	}
	list := []trace.Attr{
		trace.String("service.name", c.service), trace.String("service.version", buildVersion()),
		trace.String("telemetry.sdk.language", "go"), trace.String("telemetry.sdk.name", "tomehub"), trace.String("telemetry.sdk.version", buildVersion()),
		trace.String("tomehub.phase", phase),
	}
	for _, p := range given {
		set := trace.String(p.name, p.value)
		found := false
		for i := range list {
			if list[i].Key == p.name {
				found = true
				if p.name != "service.name" || c.service == "tomehub" { // OTEL_SERVICE_NAME wins
					list[i] = set
				}
			}
		}
		if !found {
			list = append(list, set)
		}
	}
	return list, nil
}

type pair struct{ name, value string }

// pairs reads name=value,name=value. Its error shows nothing of it: it may hold a token.
func pairs(setting, text string) ([]pair, error) {
	var list []pair
	n := 0
	for one := range strings.SplitSeq(text, ",") {
		if n++; strings.TrimSpace(one) == "" {
			continue
		}
		name, value, ok := strings.Cut(one, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil {
			return nil, fmt.Errorf("%s: part %d is not name=value with the value percent-encoded", setting, n)
		}
		list = append(list, pair{name, value})
	}
	return list, nil
}

// otlp says where the collector is and how to speak to it. All faults are returned joined.
func (c *traceSettings) otlp(from []trace.Attr) (trace.OTLPConfig, error) {
	cfg := trace.DefaultOTLP()
	cfg.Resource = from
	if c.endpoint != "" {
		cfg.URL = strings.TrimRight(c.endpoint, "/") + "/v1/traces"
	}
	if c.tracesEndpoint != "" {
		cfg.URL = c.tracesEndpoint
	}
	cfg.Timeout = ms(c.timeout)
	if c.tracesTimeout > 0 {
		cfg.Timeout = ms(c.tracesTimeout)
	}
	cfg.Gzip = c.compression == "gzip" && c.tracesPacking == "" || c.tracesPacking == "gzip"
	setting, protocol := "OTEL_EXPORTER_OTLP_PROTOCOL", c.protocol
	if c.tracesProtocol != "" {
		setting, protocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", c.tracesProtocol
	}
	faults := []error{trace.CheckURL(cfg.URL)}
	protocol, err := oneOf(setting, protocol, traceProtocols)
	if err != nil {
		faults = append(faults, fmt.Errorf("%w; a collector takes these at port 4318 as a rule", err))
	}
	cfg.JSON = protocol == protocolJSON
	cfg.Headers, err = c.exportHeaders()
	return cfg, errors.Join(append(faults, err)...)
}

func (c *traceSettings) exportHeaders() (map[string]string, error) {
	setting, text := "OTEL_EXPORTER_OTLP_HEADERS", c.headers.reveal()
	if own := c.tracesHeaders.reveal(); own != "" {
		setting, text = "OTEL_EXPORTER_OTLP_TRACES_HEADERS", own
	}
	list, err := pairs(setting, text)
	if err != nil {
		return nil, err
	}
	headers := make(map[string]string, len(list))
	for i, p := range list {
		if !httpguts.ValidHeaderFieldName(p.name) || !httpguts.ValidHeaderFieldValue(p.value) {
			return nil, fmt.Errorf("%s: part %d is no header of HTTP", setting, i+1)
		}
		headers[p.name] = p.value
	}
	return headers, nil
}

// open returns the tracer, or nil when traces are off.
func (c *traceSettings) open(phase string, console io.Writer, logger *slog.Logger) (*trace.Tracer, error) {
	if !c.on() {
		return nil, nil
	}
	from, err := c.attributes(phase)
	if err != nil {
		return nil, err
	}
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	cfg.Logger = logger
	if c.exporter == "console" {
		return trace.New(cfg, trace.NewConsole(console, from))
	}
	where, err := c.otlp(from)
	if err != nil {
		return nil, err
	}
	exporter, err := trace.NewOTLP(where)
	if err != nil {
		return nil, err
	}
	return trace.New(cfg, exporter)
}

// runTracer sends spans until stop is called, which waits for the last of them. It outlasts ctx: requests that are in
// flight when that ends have spans, too.
func runTracer(ctx context.Context, t *trace.Tracer) (stop func()) {
	if t == nil {
		return func() {}
	}
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { _ = t.Run(background) }) // returns nil when background ends
	return func() {
		end()
		running.Wait()
	}
}

// watchers are told what pools and statements do. Either may be nil.
type watchers struct {
	metrics *server.Metrics
	tracer  *trace.Tracer
}

// acquired fits pool.Config.Acquired; it is nil when nobody wants to know.
func (w watchers) acquired() func(ctx context.Context, name, outcome string, waited time.Duration) {
	switch {
	case w.tracer == nil && w.metrics == nil:
		return nil
	case w.tracer == nil:
		return w.metrics.Acquired
	case w.metrics == nil:
		return server.SpanOfAcquire
	}
	return func(ctx context.Context, name, outcome string, waited time.Duration) {
		w.metrics.Acquired(ctx, name, outcome, waited)
		server.SpanOfAcquire(ctx, name, outcome, waited)
	}
}

// executed fits store.Options.Executed, as acquired does.
func (w watchers) executed(system string) func(context.Context, store.Execution) {
	spans := server.SpansOfStatements(system)
	switch {
	case w.tracer == nil && w.metrics == nil:
		return nil
	case w.tracer == nil:
		return w.metrics.Executed
	case w.metrics == nil:
		return spans
	}
	return func(ctx context.Context, e store.Execution) {
		w.metrics.Executed(ctx, e)
		spans(ctx, e)
	}
}

// watch has the watchers told of what cfg's pools and the store do.
func (w watchers) watch(cfg *pool.Config, opts *store.Options, oracle bool) {
	system := "sqlite"
	if oracle {
		system = "oracle.db"
	}
	cfg.Acquired, opts.Executed = w.acquired(), w.executed(system)
}

package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tomehub/tomehub/server/trace"
)

// Traces are off until somebody asks for them, and what is off has no faults.
func TestTracesOnAndOff(t *testing.T) {
	f := func(want bool, env ...string) {
		t.Helper()
		given := map[string]string{}
		for _, one := range env {
			name, value, _ := strings.Cut(one, "=")
			given[name] = value
		}
		c, _, err := resolveServe(t, nil, given, "")
		if err != nil {
			t.Errorf("%q: %v", env, err)
		}
		tracer, err := c.traces.open("D", io.Discard, slog.New(slog.DiscardHandler))
		if err != nil || (tracer != nil) != want {
			t.Errorf("%q: a tracer %v, want %v: %v", env, tracer != nil, want, err)
		}
	}
	f(false)
	f(false, "OTEL_TRACES_SAMPLER=jaeger_remote", "OTEL_SERVICE_NAME=x")
	f(true, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318")
	f(true, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:4318/v1/traces")
	f(true, "OTEL_TRACES_EXPORTER=otlp")
	f(true, "OTEL_TRACES_EXPORTER=console")
	f(false, "OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318")
	f(false, "OTEL_SDK_DISABLED=true", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	f(true, "OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=PARENTBASED_TRACEIDRATIO", "OTEL_TRACES_SAMPLER_ARG=0.25", "OTEL_PROPAGATORS=tracecontext,baggage")
}

// Every fault names its variable; none shows a token.
func TestTraceSettingsFaults(t *testing.T) {
	f := func(want string, env map[string]string) {
		t.Helper()
		if env["OTEL_TRACES_EXPORTER"] == "" {
			env["OTEL_TRACES_EXPORTER"] = "otlp"
		}
		_, _, err := resolveServe(t, nil, env, "")
		if err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%v: %v, want %q", env, err, want)
		}
	}
	f(`OTEL_EXPORTER_OTLP_PROTOCOL is "grpc": want one of http/protobuf, http/json`, map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
	f("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"})
	f("want one of otlp, console, none", map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"})
	f("OTEL_SDK_DISABLED=true", map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"})
	f("OTEL_TRACES_SAMPLER is", map[string]string{"OTEL_TRACES_SAMPLER": "xray"})
	f("OTEL_TRACES_SAMPLER_ARG", map[string]string{"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1.5"})
	f("OTEL_TRACES_SAMPLER_ARG", map[string]string{"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "NaN"})
	f(`OTEL_PROPAGATORS has "b3"`, map[string]string{"OTEL_PROPAGATORS": "tracecontext,b3"})
	f("OTEL_EXPORTER_OTLP_ENDPOINT", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:s3cr3t@host:4318"})
	f("OTEL_EXPORTER_OTLP_ENDPOINT", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"})
	f("OTEL_EXPORTER_OTLP_HEADERS: part 2", map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "a=b,s3cr3t"})
	f("OTEL_EXPORTER_OTLP_HEADERS: part 1", map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "a=%zzs3cr3t"})
	f("OTEL_EXPORTER_OTLP_HEADERS: part 1 is no header", map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "a=%0As3cr3t"})
	f("OTEL_RESOURCE_ATTRIBUTES: part 1", map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "=x"})
	f("OTEL_BSP_MAX_EXPORT_BATCH_SIZE is 512: want 1 to OTEL_BSP_MAX_QUEUE_SIZE, which is 100", map[string]string{"OTEL_BSP_MAX_QUEUE_SIZE": "100"})
	f("OTEL_BSP_SCHEDULE_DELAY", map[string]string{"OTEL_BSP_SCHEDULE_DELAY": "5s"})
	f("OTEL_EXPORTER_OTLP_COMPRESSION", map[string]string{"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"})
}

// What is set for traces alone wins over what is set for all signals.
func TestTraceExport(t *testing.T) {
	f := func(env map[string]string, want trace.OTLPConfig) {
		t.Helper()
		env["OTEL_TRACES_EXPORTER"] = "otlp"
		c, _, err := resolveServe(t, nil, env, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.traces.otlp(nil)
		if err != nil || got.URL != want.URL || got.JSON != want.JSON || got.Gzip != want.Gzip || got.Timeout != want.Timeout || got.Headers["authorization"] != want.Headers["authorization"] {
			t.Errorf("%v: %+v, want %+v, %v", env, got, want, err)
		}
	}
	usual := trace.DefaultOTLP()
	f(map[string]string{}, usual)
	all := usual
	all.URL, all.JSON, all.Gzip, all.Timeout, all.Headers = "http://c:4318/base/v1/traces", true, true, ms(1500), map[string]string{"authorization": "Bearer x=y"}
	general := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/base/", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
		"OTEL_EXPORTER_OTLP_TIMEOUT": "1500", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x=y",
	}
	f(general, all)
	own := usual
	own.URL, own.Timeout, own.Headers = "http://t:1/own", ms(7), map[string]string{"authorization": "z"}
	general["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], general["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http://t:1/own", "http/protobuf"
	general["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"], general["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"] = "none", "7"
	general["OTEL_EXPORTER_OTLP_TRACES_HEADERS"] = "authorization=z"
	f(general, own)
}

func TestTraceResource(t *testing.T) {
	f := func(env map[string]string, key string, want trace.Attr) {
		t.Helper()
		c, _, err := resolveServe(t, nil, env, "")
		if err != nil {
			t.Fatal(err)
		}
		list, err := c.traces.attributes("D")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, a := range list {
			if a.Key == key {
				n++
				if a != want {
					t.Errorf("%v: %v, want %v", env, a, want)
				}
			}
		}
		if n != 1 {
			t.Errorf("%v: %s is there %d times", env, key, n)
		}
	}
	attrs := "OTEL_RESOURCE_ATTRIBUTES"
	f(nil, "service.name", trace.String("service.name", "tomehub"))
	f(map[string]string{attrs: "service.name=books"}, "service.name", trace.String("service.name", "books"))
	f(map[string]string{attrs: "service.name=books", "OTEL_SERVICE_NAME": "mine"}, "service.name", trace.String("service.name", "mine"))
	f(map[string]string{attrs: "deployment.environment.name=a%2Cb, x=y"}, "deployment.environment.name", trace.String("deployment.environment.name", "a,b"))
	f(map[string]string{attrs: "tomehub.phase=mine"}, "tomehub.phase", trace.String("tomehub.phase", "mine"))
}

// A server in a process of its own sends what it was asked to a collector, the last of it as it leaves.
func TestServeSendsTraces(t *testing.T) {
	var mu sync.Mutex
	names, service, token := map[string]int{}, "", ""
	at := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var m collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &m) != nil {
			t.Errorf("%d bytes, %v", len(body), err)
		}
		mu.Lock()
		defer mu.Unlock()
		token = r.Header.Get("Authorization")
		for _, rs := range m.ResourceSpans {
			service = rs.Resource.Attributes[0].Value.GetStringValue()
			for _, span := range rs.ScopeSpans[0].Spans {
				names[span.Name]++
			}
		}
	}))
	defer at.Close()
	s := startProgram(t, func(c *exec.Cmd) {
		c.Env = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + at.URL, "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20s3cr3t", "OTEL_SERVICE_NAME=books", "OTEL_BSP_SCHEDULE_DELAY=3600000"}
	}, t.TempDir())
	for range 2 {
		resp, err := http.Get(s.url + "/api/search?q=time")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.wait(); err != nil {
		t.Errorf("left with %v: %s", err, s.stderr)
	}
	mu.Lock()
	defer mu.Unlock()
	if names["GET /api/search"] != 2 || names["search_page"] != 1 || names["acquire read"] == 0 || names["cache content"] != 2 || service != "books" || token != "Bearer s3cr3t" {
		t.Errorf("%v of %q with %q", names, service, token)
	}
	if bytes.Contains(s.stderr.Bytes(), []byte("s3cr3t")) {
		t.Error("the log has the token")
	}
}

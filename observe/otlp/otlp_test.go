package otlp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/observe/otlp"
	"github.com/goslo/goslo/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is Start with these variables and no others of OpenTelemetry's.
func start(t *testing.T, c otlp.Config, environment ...string) (*otlp.Traces, error) {
	t.Helper()
	for _, name := range []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_SERVICE_NAME",
		"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_RESOURCE_ATTRIBUTES",
	} {
		t.Setenv(name, "")
	}
	for _, v := range environment {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	traces, err := otlp.Start(t.Context(), c)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := traces.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return traces, err
}

const nowhere = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"

func TestWhenTracesAreOn(t *testing.T) {
	for name, c := range map[string]struct {
		environment []string
		on          bool
		err         string
	}{
		"nothing said":         {nil, false, ""},
		"an endpoint":          {[]string{nowhere}, true, ""},
		"an endpoint of them":  {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1/v1/traces"}, true, ""},
		"disabled":             {[]string{nowhere, "OTEL_SDK_DISABLED=True"}, false, ""},
		"no exporter":          {[]string{nowhere, "OTEL_TRACES_EXPORTER=none"}, false, ""},
		"another exporter":     {[]string{nowhere, "OTEL_TRACES_EXPORTER=zipkin"}, false, "zipkin"},
		"another protocol":     {[]string{nowhere, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, false, "http/protobuf"},
		"its own protocol":     {[]string{nowhere, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"}, true, ""},
		"another sampler":      {[]string{nowhere, "OTEL_TRACES_SAMPLER=xray"}, false, "xray"},
		"a ratio that is none": {[]string{nowhere, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=2"}, false, "from 0 to 1"},
		"not a number":         {[]string{nowhere, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=NaN"}, false, "from 0 to 1"},
		"off, whatever else":   {[]string{"OTEL_TRACES_SAMPLER=xray"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			traces, err := start(t, otlp.Config{Service: "s"}, c.environment...)
			if on := traces.Provider() != nil; on != c.on {
				t.Errorf("on: %t, want %t", on, c.on)
			}
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want one about %q", err, c.err)
			}
		})
	}
}

// Traces whose ids are UUIDs of requests are sampled in the ratio asked for, which the SDK's own sampler does not do.
func TestRatioOfRequests(t *testing.T) {
	traces, err := start(t, otlp.Config{Service: "s"}, nowhere, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25")
	if err != nil {
		t.Fatal(err)
	}
	tracer := traces.Provider().Tracer("t")
	sampled, children := 0, 0
	const n = 4000
	for range n {
		c, err := rpc.NewRequestContext(map[string]string{"request_id": newRequestID()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, s := tracer.Start(rpc.WithContext(t.Context(), c), "s")
		_, child := tracer.Start(ctx, "child")
		if s.SpanContext().IsSampled() {
			sampled++
		}
		if child.SpanContext().IsSampled() {
			children++
		}
	}
	if sampled < n/5 || sampled > n*3/10 || children != sampled {
		t.Errorf("%d of %d traces are sampled, want a quarter; %d children", sampled, n, children)
	}
}

// newRequestID is "req-" and a random UUID, version 4.
func newRequestID() string {
	const hex = "0123456789abcdef"
	var b [32]byte
	_, _ = rand.Read(b[:])
	for i := range b {
		b[i] = hex[b[i]%16]
	}
	b[12], b[16] = '4', hex[8+b[16]%4]
	s := string(b[:])
	return "req-" + s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

func TestSamplers(t *testing.T) {
	sampledParent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
	for name, want := range map[string]struct{ root, child bool }{
		"": {true, true}, "always_on": {true, true}, "always_off": {false, false}, "parentbased_always_off": {false, true},
		"parentbased_always_on": {true, true}, "traceidratio": {true, true}, "parentbased_traceidratio": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			traces, err := start(t, otlp.Config{Service: "s"}, nowhere, "OTEL_TRACES_SAMPLER="+name)
			if err != nil {
				t.Fatal(err)
			}
			_, root := traces.Provider().Tracer("t").Start(t.Context(), "root")
			_, child := traces.Provider().Tracer("t").Start(trace.ContextWithSpanContext(t.Context(), sampledParent), "child")
			if root.IsRecording() != want.root || child.IsRecording() != want.child {
				t.Errorf("root %t, child of a sampled parent %t", root.IsRecording(), child.IsRecording())
			}
		})
	}
}

// Close sends what is left; a collector that refuses is told to the log, and to nobody else.
func TestCloseSends(t *testing.T) {
	var status, got atomic.Int64
	var path atomic.Value
	status.Store(http.StatusOK)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path.Store(r.URL.Path + " " + r.Header.Get("Content-Type") + " " + r.Header.Get("X-Key"))
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte("named-by-environment")) && bytes.Contains(body, []byte("1.2.3")) {
			got.Add(1)
		}
		w.WriteHeader(int(status.Load()))
	}))
	defer collector.Close()
	send := func(log *slog.Logger) {
		t.Helper()
		traces, err := start(t, otlp.Config{Service: "named-by-program", Version: "1.2.3", Logger: log},
			"OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_EXPORTER_OTLP_HEADERS=x-key=secret", "OTEL_SERVICE_NAME=named-by-environment")
		if err != nil {
			t.Fatal(err)
		}
		_, s := traces.Provider().Tracer("t").Start(t.Context(), "s")
		s.End()
		if err := traces.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	send(nil)
	if got.Load() != 1 || path.Load() != "/v1/traces application/x-protobuf secret" {
		t.Errorf("%d requests of the service, the last to %v", got.Load(), path.Load())
	}
	status.Store(http.StatusForbidden)
	var log bytes.Buffer
	send(slog.New(slog.NewTextHandler(&log, nil)))
	if !strings.Contains(log.String(), "traces not sent") || strings.Contains(log.String(), "secret") {
		t.Errorf("the log says %q", log.String())
	}
}

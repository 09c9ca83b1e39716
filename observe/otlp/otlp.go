// Package otlp sends traces to an OpenTelemetry collector, over OTLP/HTTP with protobuf. It is what a program's main function adds to package observe:
//
//	traces, err := otlp.Start(ctx, otlp.Config{Service: "project-manager"})
//	defer traces.Close(ctx)
//	o, err := observe.New(observe.Config{Traces: traces.Provider()})
//
// OpenTelemetry's environment variables decide whether, where and how; see [Start]. The package owns the exporter and its one goroutine, from Start to
// Close, and sets no global of OpenTelemetry's.
package otlp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/goslo/goslo/observe"
	"github.com/goslo/goslo/rpc"
)

// Config says who it is that the traces are of.
type Config struct {
	// Service is the attribute service.name. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
	Service string
	// Version is the attribute service.version; "" = none.
	Version string
	// Logger is told when traces cannot be sent. Default: nothing is logged.
	Logger *slog.Logger
}

// Traces are those of one process. They are safe for concurrent use.
type Traces struct{ provider *sdk.TracerProvider } // nil = off

// Start begins to send traces, in the background, in batches. It does no I/O: a collector that is away loses spans, and nothing waits for it.
//
// Traces are on when OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set, unless OTEL_SDK_DISABLED is true or OTEL_TRACES_EXPORTER is
// none. Of the other variables of OpenTelemetry's specification count those of the OTLP exporter (headers, timeout, compression, certificates), of the
// batches (OTEL_BSP_...), of limits, of the resource, and OTEL_TRACES_SAMPLER with its argument. What they name and this package has not, such as
// the protocol grpc or the sampler jaeger_remote, is an error, as is a ratio that is none.
func Start(ctx context.Context, c Config) (*Traces, error) {
	on, err := wanted()
	if err != nil || !on {
		return &Traces{}, err
	}
	sampler, err := sampler(os.Getenv("OTEL_TRACES_SAMPLER"), os.Getenv("OTEL_TRACES_SAMPLER_ARG"))
	if err != nil {
		return &Traces{}, err
	}
	attributes := []resource.Option{
		resource.WithAttributes(semconv.ServiceName(c.Service)), resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithFromEnv(), // the last one wins
	}
	if c.Version != "" {
		attributes = append([]resource.Option{resource.WithAttributes(semconv.ServiceVersion(c.Version))}, attributes...)
	}
	who, err := resource.New(ctx, attributes...)
	if err != nil && !errors.Is(err, resource.ErrPartialResource) && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return &Traces{}, fmt.Errorf("otlp: describe the process: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return &Traces{}, fmt.Errorf("otlp: set up the exporter: %w", err)
	}
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Traces{sdk.NewTracerProvider(
		sdk.WithBatcher(telling{exporter, log}), sdk.WithResource(who), sdk.WithIDGenerator(IDs{}), sdk.WithSampler(sampler),
	)}, nil
}

// telling tells the log what the exporter says, which otherwise goes to standard error.
type telling struct {
	sdk.SpanExporter
	log *slog.Logger
}

// ExportSpans is part of sdktrace.SpanExporter.
func (t telling) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if err := t.SpanExporter.ExportSpans(ctx, spans); err != nil {
		t.log.WarnContext(ctx, "traces not sent", "spans", len(spans), "error", err)
	}
	return nil
}

// wanted reports what the environment says.
func wanted() (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "", "otlp":
	case "none":
		return false, nil
	default:
		return false, fmt.Errorf("otlp: OTEL_TRACES_EXPORTER is %q; there are otlp and none", exporter)
	}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return false, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if p := os.Getenv(name); p != "" {
			if p != "http/protobuf" {
				return false, fmt.Errorf("otlp: %s is %q; there is http/protobuf alone, on port 4318 of a collector", name, p)
			}
			break // the first one wins
		}
	}
	return true, nil
}

// Provider is what package observe takes; nil while traces are off.
func (t *Traces) Provider() trace.TracerProvider {
	if t == nil || t.provider == nil {
		return nil
	}
	return t.provider
}

// Close sends what is left, until ctx ends, and stops.
func (t *Traces) Close(ctx context.Context) error {
	if t == nil || t.provider == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("otlp: send the last traces: %w", err)
	}
	return nil
}

// IDs makes ids of traces and spans: of a trace that begins within an OpenStack request, the UUID of its request id, else random ones. Those who
// set up OpenTelemetry's SDK by themselves give it to sdktrace.WithIDGenerator.
type IDs struct{}

// NewIDs is part of sdktrace.IDGenerator.
func (i IDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, ok := observe.TraceID(rpc.ContextFrom(ctx).RequestID())
	for !ok {
		_, _ = rand.Read(id[:]) // it never fails
		ok = id.IsValid()
	}
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID is part of sdktrace.IDGenerator.
func (IDs) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	var id trace.SpanID
	for !id.IsValid() {
		_, _ = rand.Read(id[:])
	}
	return id
}

// sampler returns the one that the environment names; "" = parentbased_always_on.
func sampler(name, arg string) (sdk.Sampler, error) {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "", "parentbased_always_on":
		return sdk.ParentBased(sdk.AlwaysSample()), nil
	case "always_on":
		return sdk.AlwaysSample(), nil
	case "always_off":
		return sdk.NeverSample(), nil
	case "parentbased_always_off":
		return sdk.ParentBased(sdk.NeverSample()), nil
	case "traceidratio":
		return ratioOf(arg)
	case "parentbased_traceidratio":
		r, err := ratioOf(arg)
		return sdk.ParentBased(r), err
	}
	return nil, fmt.Errorf("otlp: OTEL_TRACES_SAMPLER is %q; there are always_on, always_off, traceidratio and the same with parentbased_", name)
}

func ratioOf(arg string) (ratio, error) {
	if arg = strings.TrimSpace(arg); arg == "" {
		return 1, nil
	}
	r, err := strconv.ParseFloat(arg, 64)
	if err != nil || !(r >= 0 && r <= 1) {
		return 1, fmt.Errorf("otlp: OTEL_TRACES_SAMPLER_ARG is %q; a ratio is from 0 to 1", arg)
	}
	return ratio(r), nil
}

// A ratio samples that part of all traces, by the last 56 bits of their ids, as W3C's Trace Context Level 2 has it: they are random in a UUID, too.
// The SDK's own sampler looks at 64, of which a UUID has two fixed: it takes none of those traces below a half, and all above three quarters.
type ratio float64

// ShouldSample is part of sdktrace.Sampler.
func (r ratio) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	const all = 1 << 56
	random := binary.BigEndian.Uint64(p.TraceID[8:]) & (all - 1)
	decision := sdk.Drop
	if random < uint64(float64(r)*all) {
		decision = sdk.RecordAndSample
	}
	return sdk.SamplingResult{Decision: decision, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

// Description is part of sdktrace.Sampler.
func (r ratio) Description() string { return fmt.Sprintf("TraceIDRatio{%g}", float64(r)) }

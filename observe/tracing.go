package observe

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/goslo/goslo/rpc"
)

// scope is the name of the instrumentation.
const scope = "github.com/goslo/goslo/observe"

// Attributes of spans that OpenTelemetry has no name for.
const (
	keyRequestID   = attribute.Key("openstack.request_id")
	keyNamespace   = attribute.Key("goslo.namespace")
	keyVersion     = attribute.Key("goslo.version")
	keyServer      = attribute.Key("goslo.server")
	keyMode        = attribute.Key("goslo.mode")
	keyRedelivered = attribute.Key("goslo.redelivered")
	keyAhead       = attribute.Key("goslo.sender_clock_ahead_ms")
	keyPhase       = attribute.Key("goslo.timeout_phase")
)

// tracing makes spans. A nil one makes none.
type tracing struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	system     attribute.KeyValue // invalid = none
}

func newTracing(p trace.TracerProvider, system string) *tracing {
	t := &tracing{
		tracer:     p.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
		propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}
	if system != "" {
		t.system = semconv.MessagingSystemKey.String(system)
	}
	return t
}

// TraceID returns the trace that belongs to an OpenStack request id: the UUID in "req-<uuid>". ok is false for what is no such id.
func TraceID(requestID string) (id trace.TraceID, ok bool) {
	text, is := strings.CutPrefix(requestID, "req-")
	if !is || len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(strings.ReplaceAll(text, "-", "")))
	return id, err == nil && id.IsValid()
}

// A span is one that was started; the zero value is none.
type span struct{ trace.Span }

// send starts the span of a request that leaves, and puts its context into the request's headers.
func (t *tracing) send(ctx context.Context, r *rpc.Request, at time.Time) (context.Context, span) {
	if t == nil {
		return ctx, span{}
	}
	kind, operation := trace.SpanKindProducer, semconv.MessagingOperationTypeSend
	if r.Mode == rpc.ByCall {
		kind = trace.SpanKindClient
	}
	ctx, s := t.tracer.Start(ctx, r.Target.Topic+"/"+r.Method, trace.WithSpanKind(kind), trace.WithTimestamp(at))
	if s.IsRecording() {
		s.SetAttributes(t.attributes(ctx, r, operation, r.Method)...)
	}
	t.propagator.Inject(ctx, propagation.MapCarrier(r.Headers))
	return ctx, span{s}
}

// serve makes the span of a request's wait, if that is known, and starts the one of its handler.
func (t *tracing) serve(ctx context.Context, r *rpc.Request, wait time.Duration, known bool) (context.Context, span) {
	if t == nil {
		return ctx, span{}
	}
	kind, method := trace.SpanKindConsumer, r.Method
	if r.Mode == rpc.ByCall {
		kind = trace.SpanKindServer
	}
	if !r.Known {
		method = other
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithTimestamp(r.Received)}
	ctx = t.propagator.Extract(ctx, propagation.MapCarrier(r.Headers))
	switch caller := trace.SpanContextFromContext(ctx); {
	case !caller.IsRemote():
		options = append(options, trace.WithNewRoot()) // what the context has is a span around the server's Run
	case known && caller.IsSampled():
		t.wait(ctx, r, method, wait)
	}
	ctx, s := t.tracer.Start(ctx, r.Target.Topic+"/"+method, options...)
	if s.IsRecording() {
		s.SetAttributes(t.attributes(ctx, r, semconv.MessagingOperationTypeProcess, method)...)
		if !r.Known {
			s.SetAttributes(semconv.RPCMethodOriginal(r.Method))
		}
		if r.Redelivered {
			s.SetAttributes(keyRedelivered.Bool(true))
		}
	}
	return ctx, span{s}
}

// wait makes the span of a request's time in the queue, from when it was sent. The sender's clock may be ahead of ours: then it has no length.
func (t *tracing) wait(ctx context.Context, r *rpc.Request, method string, wait time.Duration) {
	_, s := t.tracer.Start(ctx, "queue "+r.Target.Topic+"/"+method, trace.WithTimestamp(r.Received.Add(-max(wait, 0))))
	s.SetAttributes(t.attributes(ctx, r, semconv.MessagingOperationTypeReceive, method)...)
	if wait < 0 {
		s.SetAttributes(keyAhead.Float64(float64(-wait.Microseconds()) / 1000))
	}
	s.End(trace.WithTimestamp(r.Received))
}

func (t *tracing) attributes(ctx context.Context, r *rpc.Request, operation attribute.KeyValue, method string) []attribute.KeyValue {
	all := append(make([]attribute.KeyValue, 0, 14),
		semconv.RPCSystemNameKey.String("oslo.messaging"),
		semconv.RPCMethod(method),
		semconv.MessagingDestinationName(r.Target.Topic),
		semconv.MessagingOperationName(r.Mode.String()),
		operation,
		keyMode.String(r.Mode.String()),
	)
	if t.system.Valid() {
		all = append(all, t.system)
	}
	for _, a := range []struct {
		key   attribute.Key
		value string
	}{
		{keyRequestID, rpc.ContextFrom(ctx).RequestID()},
		{keyNamespace, r.Target.Namespace},
		{keyVersion, r.Target.Version},
		{keyServer, r.Server},
		{semconv.MessagingMessageIDKey, r.ID},
	} {
		if a.value != "" {
			all = append(all, a.key.String(a.value))
		}
	}
	return all
}

// end ends the span with how the request did.
func (s span) end(err error, f failure) {
	if s.Span == nil {
		return
	}
	if f.outcome != outcomeOK && s.IsRecording() {
		s.SetAttributes(semconv.ErrorTypeKey.String(f.class))
		if f.phase != "" {
			s.SetAttributes(keyPhase.String(f.phase))
		}
		text := f.class
		if err != nil {
			s.RecordError(err)
			text = err.Error()
		}
		if f.outcome != outcomeExpected {
			s.SetStatus(codes.Error, text)
		}
	}
	s.End()
}

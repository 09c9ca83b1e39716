package observe

import (
	"context"
	"maps"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/goslo/goslo/notify"
)

// Notifier returns the configuration of a notifier whose notifications carry the trace of who tells them. The interceptor is the innermost.
func (o *Observer) Notifier(c notify.NotifierConfig) notify.NotifierConfig {
	if o != nil && o.tracing != nil {
		c.Interceptors = append(slices.Clip(c.Interceptors), o.tracing.tell)
	}
	return c
}

// Listener returns the configuration of a listener whose handlers run in the trace of who told. The interceptor is the outermost.
func (o *Observer) Listener(c notify.ListenerConfig) notify.ListenerConfig {
	if o != nil && o.tracing != nil {
		c.Interceptors = append([]notify.Interceptor{o.tracing.hear}, c.Interceptors...)
	}
	return c
}

// tell makes the span of a notification that leaves, and puts its context into the headers.
func (t *tracing) tell(next notify.Func) notify.Func {
	return func(ctx context.Context, all []*notify.Raw) error {
		n := all[0]
		ctx, s := t.tracer.Start(ctx, n.Type, trace.WithSpanKind(trace.SpanKindProducer))
		defer s.End()
		if s.IsRecording() {
			s.SetAttributes(t.told(all, semconv.MessagingOperationTypeSend)...)
		}
		own := n.Headers
		if n.Headers = maps.Clone(own); n.Headers == nil {
			n.Headers = map[string]string{}
		}
		t.propagator.Inject(ctx, propagation.MapCarrier(n.Headers))
		fit(n.Headers, own)
		return told(s, next(ctx, all))
	}
}

// hear makes the span around the handlers: in the sender's trace, or, of several that are handled together, in one of its own with links to
// those of the senders.
func (t *tracing) hear(next notify.Func) notify.Func {
	return func(ctx context.Context, all []*notify.Raw) error {
		name, options := all[0].Type, []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}
		if len(all) == 1 {
			ctx = t.propagator.Extract(ctx, propagation.MapCarrier(all[0].Headers))
		} else {
			for _, n := range all {
				from := t.propagator.Extract(ctx, propagation.MapCarrier(n.Headers))
				if sender := trace.SpanContextFromContext(from); sender.IsRemote() {
					options = append(options, trace.WithLinks(trace.Link{SpanContext: sender}))
				}
				if n.Type != name {
					name = "notifications"
				}
			}
		}
		if !trace.SpanContextFromContext(ctx).IsRemote() {
			options = append(options, trace.WithNewRoot()) // what the context has is a span around the listener's Run
		}
		ctx, s := t.tracer.Start(ctx, name, options...)
		defer s.End()
		if s.IsRecording() {
			s.SetAttributes(append(t.told(all, semconv.MessagingOperationTypeProcess), semconv.MessagingDestinationName(all[0].Topic))...)
		}
		return told(s, next(ctx, all))
	}
}

// told are the attributes of notifications.
func (t *tracing) told(all []*notify.Raw, operation attribute.KeyValue) []attribute.KeyValue {
	attributes := append(make([]attribute.KeyValue, 0, 8), operation, semconv.MessagingOperationName("notify"))
	if t.system.Valid() {
		attributes = append(attributes, t.system)
	}
	if len(all) > 1 {
		return append(attributes, semconv.MessagingBatchMessageCount(len(all)))
	}
	attributes = append(attributes, semconv.MessagingMessageID(all[0].ID))
	if id := all[0].Context.RequestID(); id != "" {
		attributes = append(attributes, keyRequestID.String(id))
	}
	if all[0].Redelivered {
		attributes = append(attributes, keyRedelivered.Bool(true))
	}
	return attributes
}

// told notes how it ended, and returns err.
func told(s trace.Span, err error) error {
	if err != nil {
		s.RecordError(err)
		s.SetStatus(codes.Error, err.Error())
	}
	return err
}

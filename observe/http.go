package observe

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/goslo/goslo/rpc"
)

// HTTP returns next with a span of kind SERVER around each request: where the tree of a REST API's calls and casts begins, or goes on, if the request
// has a traceparent. It belongs inside of what puts the request context (rpc.WithContext) into the HTTP request's, so that the request id can be the
// trace's, and around the http.ServeMux, whose pattern is the span's name. There are no metrics of HTTP here.
func (o *Observer) HTTP(next http.Handler) http.Handler {
	if o.off() || o.tracing == nil {
		return next
	}
	t := o.tracing
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := t.propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, s := t.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
		defer s.End()
		answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(ctx)
		returned := false
		defer func() { // also of a panic, which net/http ends the connection for
			if s.IsRecording() {
				describe(ctx, s, r, answer.status, returned)
			}
		}()
		next.ServeHTTP(answer, r)
		returned = true
	})
}

func describe(ctx context.Context, s trace.Span, r *http.Request, status int, returned bool) {
	s.SetAttributes(semconv.HTTPRequestMethodKey.String(r.Method), semconv.URLPath(r.URL.Path))
	if r.Pattern != "" {
		s.SetName(r.Pattern)
		s.SetAttributes(semconv.HTTPRoute(r.Pattern))
	}
	if id := rpc.ContextFrom(ctx).RequestID(); id != "" {
		s.SetAttributes(keyRequestID.String(id))
	}
	if !returned {
		s.SetStatus(codes.Error, "panic")
		return
	}
	s.SetAttributes(semconv.HTTPResponseStatusCode(status))
	if status >= http.StatusInternalServerError {
		s.SetStatus(codes.Error, http.StatusText(status))
	}
}

// A statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader is part of http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if status >= http.StatusOK { // else it is not the answer yet
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is what http.ResponseController asks for.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

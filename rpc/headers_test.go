package rpc_test

import (
	"context"
	"encoding/json"
	"maps"
	"testing"

	"github.com/goslo/goslo/rpc"
)

// Headers that a client's interceptor sets are seen by the server's interceptors and by its handler, and are passed on by nobody.
func TestHeaders(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		sent := map[string]string{"traceparent": "00-1-2-01", "a": "b"}
		set := func(next rpc.Func) rpc.Func {
			return func(ctx context.Context, r *rpc.Request) (json.RawMessage, error) {
				r.Headers = maps.Clone(sent)
				return next(ctx, r)
			}
		}
		seen := make(chan map[string]string, 2)
		see := func(next rpc.Func) rpc.Func {
			return func(ctx context.Context, r *rpc.Request) (json.RawMessage, error) {
				seen <- r.Headers
				return next(ctx, r)
			}
		}
		handle := func(ctx context.Context, _ echoArgs) error {
			seen <- rpc.RequestFrom(ctx).Headers
			return nil
		}
		c.serve(rpc.ServerConfig{Server: "h2", Interceptors: []rpc.Interceptor{see}}, note.Handle(handle))
		c.serve(rpc.ServerConfig{Interceptors: []rpc.Interceptor{see}}, note.Handle(func(ctx context.Context, a echoArgs) error {
			return note.Cast(ctx, c.client.To("h2"), a)
		}))
		expect := func(what string, want map[string]string) {
			t.Helper()
			if got := <-seen; !maps.Equal(got, want) {
				t.Errorf("%s sees %v, want %v", what, got, want)
			}
		}
		client := c.newClient(rpc.ClientConfig{Interceptors: []rpc.Interceptor{set}})
		if err := note.Cast(t.Context(), client.To("h2"), echoArgs{}); err != nil {
			t.Fatal(err)
		}
		expect("the interceptor", sent)
		expect("the handler", sent)

		if err := note.Cast(t.Context(), client.To("h1"), echoArgs{}); err != nil {
			t.Fatal(err)
		}
		expect("the service between", sent)
		expect("the interceptor behind it", nil)
		expect("the handler behind it", nil)

		local := rpc.Local(note.Handle(handle))
		if err := note.Cast(t.Context(), local, echoArgs{}); err != nil {
			t.Fatal(err)
		}
		expect("the handler of a client without interceptors", nil)
	})
}

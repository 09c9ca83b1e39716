package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// What an interceptor or a handler leaves behind on its context ends with the call, in one way and for a reason.
func TestContextOfAnEndedCall(t *testing.T) {
	t.Parallel()
	for _, side := range []string{"caller", "server"} {
		for _, early := range []bool{true, false} {
			name := side + ", asked for its end after the call"
			if early {
				name = side + ", asked for its end during the call"
			}
			t.Run(name, func(t *testing.T) {
				inCloud(t, func(c *cloud) {
					t := c.t
					children := make(chan context.Context, 1)
					leaves := make(chan context.Context, 1)
					leave := func(next rpc.Func) rpc.Func {
						return func(ctx context.Context, r *rpc.Request) (json.RawMessage, error) {
							leaves <- ctx
							if early {
								children <- derived(t, ctx)
							}
							return next(ctx, r)
						}
					}
					var server rpc.ServerConfig
					client := c.client
					if side == "server" {
						server.Interceptors = []rpc.Interceptor{leave}
					} else {
						client = c.newClient(rpc.ClientConfig{Interceptors: []rpc.Interceptor{leave}})
					}
					c.serve(server, whoami.Handle(func(context.Context, struct{}) (string, error) { return "", nil }))
					if _, err := whoami.Call(t.Context(), client, struct{}{}); err != nil {
						t.Fatal(err)
					}
					left := <-leaves
					synctest.Wait()
					if !early {
						children <- derived(t, left)
						synctest.Wait()
					}
					for what, ctx := range map[string]context.Context{"context": left, "child": <-children} {
						select {
						case <-ctx.Done():
						default:
							t.Errorf("the %s goes on after its call", what)
						}
						if err := ctx.Err(); !errors.Is(err, context.Canceled) {
							t.Errorf("the %s has ended with %v", what, err)
						}
						if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
							t.Errorf("the %s has ended because of %v", what, err)
						}
					}
				})
			})
		}
	}
}

// derived returns a child that only the test's end cancels.
func derived(t *testing.T, ctx context.Context) context.Context { //nolint:revive // the test first
	child, cancel := context.WithCancel(ctx)
	t.Cleanup(cancel)
	return child
}

// Calls that follow each other use one timer, which is not set again for each: all look at the bus before their
// own deadlines, and end at them, whatever those before had.
func TestDeadlinesOfOneCallAfterTheOther(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, sleep.Handle(handleSleep))
		for i, call := range []struct{ timeout, sleeps float64 }{{60, 0}, {2, 9}, {60, 9}, {10, 9}, {30, 29}, {20, 25}, {5, 0}, {3, 2}, {100, 99}, {40, 60}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(call.timeout)*time.Second)
			began := time.Now()
			_, err := sleep.Call(ctx, c.client, sleepArgs{call.sleeps})
			cancel()
			var timeout *rpc.TimeoutError
			if late := call.sleeps > call.timeout; errors.As(err, &timeout) != late || !late && err != nil {
				t.Errorf("call %d: %v", i, err)
			} else if late && timeout.Phase != rpc.Taken {
				t.Errorf("call %d did not ask the bus in time: %v", i, err)
			}
			if took, want := time.Since(began).Seconds(), min(call.timeout, call.sleeps); took != want {
				t.Errorf("call %d took %v s, want %v", i, took, want)
			}
		}
	})
}

// A call that may take for ever leaves those after it their deadlines.
func TestDeadlineAfterOneThatIsFarAway(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, sleep.Handle(handleSleep))
		client := c.newClient(rpc.ClientConfig{Timeout: 5 * time.Second})
		far, cancel := context.WithDeadline(t.Context(), time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC))
		defer cancel()
		for range 2 {
			if _, err := sleep.Call(far, client, sleepArgs{4}); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		_, err := sleep.Call(t.Context(), client, sleepArgs{60})
		var timeout *rpc.TimeoutError
		if took := time.Since(began); !errors.As(err, &timeout) || took != 5*time.Second {
			t.Errorf("after %v: %v, want a timeout after 5s", took, err)
		}
	})
}

// A request that the bus takes late leaves its call's deadline where it was.
func TestDeadlineAfterASlowSend(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, sleep.Handle(handleSleep))
		client := rpc.NewClient(lateBus{closingBus(c)}, rpc.ClientConfig{Timeout: 5 * time.Second})
		began := time.Now()
		_, err := sleep.Call(t.Context(), client, sleepArgs{60})
		var timeout *rpc.TimeoutError
		if took := time.Since(began); !errors.As(err, &timeout) || took != 5*time.Second {
			t.Errorf("after %v: %v, want a timeout after 5s", took, err)
		}
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

type lateBus struct{ transport.Transport }

func (b lateBus) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	<-time.After(4 * time.Second)
	return b.Transport.Send(ctx, to, m)
}

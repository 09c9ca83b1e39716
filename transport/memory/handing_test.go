package memory_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// Several goroutines wait in Next of a transport.Sharer: each gets what another does not, the last to wait first, and all hear of the end.
func TestNextIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := memory.NewBus().Open(memory.Config{})
		l := listen(t, bus, at("", "t", "s"))
		if _, ok := l.(transport.Sharer); !ok {
			t.Fatal("the listener is no transport.Sharer")
		}
		got := make([]string, 3)
		ended, busy := make(chan error, len(got)), make(chan struct{})
		for i := range got {
			go func() {
				for {
					d, err := l.Next(t.Context())
					if err != nil {
						ended <- err
						return
					}
					got[i] += d.Message.Method
					<-busy
				}
			}()
			synctest.Wait()
		}
		given, giveUp := context.WithCancel(t.Context())
		go func() {
			_, err := l.Next(given)
			ended <- err
		}()
		synctest.Wait()
		giveUp()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("next that was given up: %v", err)
		}
		send(t, bus, at("", "t", ""), "a")
		send(t, bus, at("", "t", ""), "b")
		synctest.Wait()
		if got[0] != "" || got[1] != "b" || got[2] != "a" {
			t.Errorf("got %q, want the last to wait to have the first message", got)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		close(busy)
		for range got {
			if err := <-ended; !errors.Is(err, transport.ErrClosed) {
				t.Errorf("next after close: %v, want ErrClosed", err)
			}
		}
	})
}

// What is pushed is the receiver's, whatever the sender does with what it has sent.
func TestPushedIsTheReceivers(t *testing.T) {
	t.Parallel()
	bus := memory.NewBus().Open(memory.Config{})
	l := listen(t, bus, transport.Address{Kind: transport.Reply})
	var got transport.Message
	l.(transport.Pusher).Push(func(d *transport.Delivery) { got = *d.Message })
	sent := transport.Message{
		ID: "1", Ending: true, Headers: map[string]string{"a": "b"},
		Args: json.RawMessage(`{"a":1}`), Result: json.RawMessage(`"r"`), Failure: json.RawMessage(`{"f":1}`),
	}
	if err := bus.Send(t.Context(), transport.Address{Kind: transport.Reply, Topic: l.Addr()}, &sent); err != nil {
		t.Fatal(err)
	}
	clear(sent.Headers)
	clear(sent.Args)
	clear(sent.Result)
	clear(sent.Failure)
	if got.Headers["a"] != "b" || string(got.Args) != `{"a":1}` || string(got.Result) != `"r"` || string(got.Failure) != `{"f":1}` {
		t.Errorf("it became %+v", got)
	}
}

// Replies are pushed by those who send them, those that were there before included; Next tells of the end.
func TestRepliesArePushed(t *testing.T) {
	t.Parallel()
	bus := memory.NewBus().Open(memory.Config{})
	l := listen(t, bus, transport.Address{Kind: transport.Reply})
	back := transport.Address{Kind: transport.Reply, Topic: l.Addr()}
	reply := func(id string) {
		t.Helper()
		if err := bus.Send(t.Context(), back, &transport.Message{ID: id, Ending: true}); err != nil {
			t.Fatal(err)
		}
	}
	reply("1")
	reply("2")
	var got []string
	l.(transport.Pusher).Push(func(d *transport.Delivery) { got = append(got, d.Message.ID) })
	reply("3")
	if len(got) != 3 || got[0] != "1" || got[1] != "2" || got[2] != "3" {
		t.Errorf("pushed %q, want 1, 2, 3", got)
	}
	if s, err := bus.Inspect(t.Context(), back); err != nil || s.Waiting != 0 {
		t.Errorf("inspect: %+v, %v; want that nothing waits", s, err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Next(t.Context()); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("next after close: %v, want ErrClosed", err)
	}
	if err := bus.Send(t.Context(), back, &transport.Message{ID: "4", Ending: true}); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("a reply after close: %v, want ErrNoListener", err)
	}
}

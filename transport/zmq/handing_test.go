//go:build zmq

package zmq_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/goslo/goslo/transport"
)

// Several goroutines call Next of a transport.Sharer: each request goes to one of them, also past one that gives up, and all hear of the end.
func TestNextIsShared(t *testing.T) {
	t.Parallel()
	const workers, requests = 5, 200
	url := busURL(t)
	client, server := open(t, url), open(t, url)
	l, err := server.Listen(testContext(t), at("h1"), transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := l.(transport.Sharer); !ok {
		t.Fatal("the listener is no transport.Sharer")
	}
	var mu sync.Mutex
	var got []string
	all := make(chan struct{})
	ended := make(chan error, workers)
	take := func(ctx context.Context) error {
		d, err := l.Next(ctx)
		if err != nil {
			return err
		}
		if err := d.Ack(ctx); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if got = append(got, d.Message.Method); len(got) == requests {
			close(all)
		}
		return nil
	}
	for range workers {
		go func() { // awaited below
			for {
				if err := take(testContext(t)); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	var impatient sync.WaitGroup
	impatient.Go(func() {
		for range requests {
			ctx, giveUp := context.WithCancel(testContext(t))
			over := make(chan error, 1)
			go func() { over <- take(ctx) }() // awaited below
			giveUp()
			if err := <-over; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("next that was given up: %v", err)
			}
		}
	})
	var want []string
	for i := range requests {
		want = append(want, fmt.Sprintf("m%03d", i))
		if err := client.Send(testContext(t), topic, cast(want[i])); err != nil {
			t.Fatal(err)
		}
	}
	<-all
	impatient.Wait()
	if err := l.Close(testContext(t)); err != nil {
		t.Error(err)
	}
	for range workers {
		if err := <-ended; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("next after close: %v, want ErrClosed", err)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want each of %d once", got, requests)
	}
}

// Replies are pushed, those that were there before included and first; Next tells of the end.
func TestRepliesArePushed(t *testing.T) {
	t.Parallel()
	url := busURL(t)
	client, server := open(t, url), open(t, url)
	l, err := client.Listen(testContext(t), transport.Address{Kind: transport.Reply}, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reply := func(id string) {
		t.Helper()
		back := transport.Address{Kind: transport.Reply, Topic: l.Addr()}
		if err := server.Send(testContext(t), back, &transport.Message{ID: id, Ending: true}); err != nil {
			t.Fatal(err)
		}
	}
	reply("1") // which is acknowledged, as the client has no connection to the server
	reply("2")
	got := make(chan string, 4)
	l.(transport.Pusher).Push(func(d *transport.Delivery) { got <- d.Message.ID })
	reply("3")
	for _, want := range []string{"1", "2", "3"} {
		if id := <-got; id != want {
			t.Errorf("pushed %q, want %q", id, want)
		}
	}
	if err := l.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if d, err := l.Next(testContext(t)); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("next after close: %+v, %v, want ErrClosed", d, err)
	}
}

// A call that is handed over to another server is answered by that one, whether its first server had begun with it or not.
func TestCallsHandedOverAreAnswered(t *testing.T) {
	t.Parallel()
	url := busURL(t)
	leaving, client := open(t, url), open(t, url)
	l, err := leaving.Listen(testContext(t), at("h1"), transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	replies, err := client.Listen(testContext(t), transport.Address{Kind: transport.Reply}, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"0", "1", "2"}
	for _, id := range want {
		m := cast("x")
		m.ID, m.ReplyTo = id, replies.Addr()
		if err := client.Send(testContext(t), topic, m); err != nil { // it returns when the call cannot go to others any more
			t.Fatal(err)
		}
	}
	begun, err := l.Next(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	server := open(t, url)
	other, err := server.Listen(testContext(t), at("h2"), transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := begun.Requeue(testContext(t)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range want {
		d, err := other.Next(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		if d.Message.ReplyTo != replies.Addr() {
			t.Errorf("its reply goes to %q, want %q", d.Message.ReplyTo, replies.Addr())
		}
		if err := d.Ack(testContext(t)); err != nil {
			t.Error(err)
		}
		back := transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}
		if err := server.Send(testContext(t), back, &transport.Message{ID: d.Message.ID, Ending: true}); err != nil {
			t.Fatal(err)
		}
		answer, err := replies.Next(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, answer.Message.ID)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("answers to %q, want %q", got, want)
	}
}

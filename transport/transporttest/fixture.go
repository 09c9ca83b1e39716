package transporttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
)

// A fixture is what one case works with. Its helpers end the test when something goes wrong, so they are
// called from the case's own goroutine only, unless they return an error.
type fixture struct {
	testing.TB
	config      Config
	topic       string // the case's own
	unclaimed   bool   // see Case.Run
	unsupported bool
}

func newFixture(tb testing.TB, c Config) *fixture {
	return &fixture{TB: tb, config: c, topic: unique(tb)}
}

// lacks says whether the transport does not claim a feature, for what cannot be proved then in a case about more.
func (f *fixture) lacks(feature Feature) bool { return f.config.Lacks&feature != 0 }

// unique makes a plain name from the test's, which no other test has, nor the next run of this one.
func unique(tb testing.TB) string {
	name := tb.Name()
	name = name[strings.LastIndexByte(name, '/')+1:]
	return name + "-" + strings.ToLower(rand.Text()[:12])
}

// patient is the context of what must happen.
func (f *fixture) patient() context.Context {
	ctx, cancel := context.WithTimeout(f.Context(), f.config.Patience)
	f.Cleanup(cancel)
	return ctx
}

// open returns another client of the bus, to be closed at the end of the test.
func (f *fixture) open() transport.Transport {
	f.Helper()
	t := f.config.Open(f.TB)
	f.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(f.Context()), f.config.Patience)
		defer cancel()
		if err := t.Close(ctx); err != nil && !errors.Is(err, transport.ErrClosed) {
			f.Errorf("close the transport: %v", err)
		}
	})
	return t
}

func (f *fixture) listen(t transport.Transport, from transport.Address, prefetch int) transport.Listener {
	f.Helper()
	l, err := t.Listen(f.patient(), from, transport.ListenOptions{Prefetch: prefetch})
	if err != nil {
		f.Fatalf("listen at %s: %v", from, err)
	}
	return l
}

// server opens a client that listens as a server of the case's topic, with the default prefetch.
func (f *fixture) server(name string) transport.Listener {
	f.Helper()
	return f.listen(f.open(), f.to(name), 0)
}

func (f *fixture) replies(t transport.Transport) transport.Listener {
	f.Helper()
	return f.listen(t, transport.Address{Kind: transport.Reply}, 0)
}

// to is the address of a server of the case's topic, or with "" of the topic.
func (f *fixture) to(server string) transport.Address {
	return transport.Address{Kind: transport.Topic, Topic: f.topic, Server: server}
}

func (f *fixture) fanout() transport.Address {
	return transport.Address{Kind: transport.Fanout, Topic: f.topic}
}

func replyTo(addr string) transport.Address {
	return transport.Address{Kind: transport.Reply, Topic: addr}
}

func cast(method string) *transport.Message {
	return &transport.Message{Method: method, UniqueID: newID()}
}

func call(method, replyTo string) *transport.Message {
	return &transport.Message{Method: method, ReplyTo: replyTo, ID: newID(), UniqueID: newID()}
}

// requests are the two ways to make one. Buses may carry calls, which somebody waits for, other than casts.
func (f *fixture) requests(client transport.Transport) map[string]func(method string) *transport.Message {
	f.Helper()
	addr := f.replies(client).Addr()
	return map[string]func(string) *transport.Message{
		"cast": cast,
		"call": func(method string) *transport.Message { return call(method, addr) },
	}
}

func reply(id, result string) *transport.Message {
	return &transport.Message{ID: id, Result: []byte(result), Ending: true, UniqueID: newID()}
}

// newID is 32 lower-case letters and digits, as Python's uuid4().hex is.
func newID() string { return strings.ToLower(rand.Text() + rand.Text())[:32] }

// text is what a message says, in short.
func text(m *transport.Message) string {
	if m.Event != nil {
		return "event " + m.Event.Type
	}
	return m.Method + string(m.Result)
}

// send sends m, and has nothing left of what the transport is not to keep.
func (f *fixture) send(t transport.Transport, to transport.Address, m *transport.Message) {
	f.Helper()
	own := *m
	lost := []*json.RawMessage{&own.Args, &own.Result, &own.Failure}
	if m.Event != nil {
		event := *m.Event
		own.Event, lost = &event, append(lost, &event.Payload)
	}
	for _, raw := range lost {
		*raw = bytes.Clone(*raw)
	}
	if err := t.Send(f.patient(), to, &own); err != nil {
		f.Fatalf("send %s to %s: %v", text(m), to, err)
	}
	for _, raw := range lost {
		for i := range *raw {
			(*raw)[i] = '!'
		}
	}
	if own.Event != nil {
		*own.Event = transport.Event{}
	}
	own = transport.Message{}
}

// next returns the next delivery, unsettled.
func (f *fixture) next(l transport.Listener) *transport.Delivery {
	f.Helper()
	d, err := l.Next(f.patient())
	if errors.Is(err, context.DeadlineExceeded) {
		f.Fatalf("%s: nothing came within %v", l.Addr(), f.config.Patience)
	}
	if err != nil {
		f.Fatalf("%s: next: %v", l.Addr(), err)
	}
	if d.Settler == nil {
		f.Fatalf("%s: a delivery without a settler", l.Addr())
	}
	return d
}

// take returns the next delivery, acknowledged.
func (f *fixture) take(l transport.Listener) *transport.Delivery {
	f.Helper()
	d := f.next(l)
	f.ack(d)
	return d
}

func (f *fixture) ack(d *transport.Delivery) {
	f.Helper()
	if err := d.Ack(f.patient()); err != nil {
		f.Fatalf("acknowledge %s: %v", d.Message.Method, err)
	}
}

// expect takes the next request, which must be this one.
func (f *fixture) expect(l transport.Listener, method string) *transport.Delivery {
	f.Helper()
	d := f.take(l)
	if d.Undelivered != nil || d.Message.Method != method {
		f.Fatalf("%s: got request %q (undelivered: %v), want %q", l.Addr(), d.Message.Method, d.Undelivered, method)
	}
	return d
}

// silent proves that nothing comes.
func (f *fixture) silent(l transport.Listener) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), f.config.Silence)
	defer cancel()
	d, err := l.Next(ctx)
	switch {
	case err == nil:
		f.Fatalf("%s: got %s addressed to %s (redelivered: %t, undelivered: %v), want nothing", l.Addr(), text(d.Message), d.To, d.Redelivered, d.Undelivered)
	case !errors.Is(err, context.DeadlineExceeded):
		f.Fatalf("%s: next: %v, want a deadline that has passed", l.Addr(), err)
	}
}

func (f *fixture) close(l interface{ Close(context.Context) error }) {
	f.Helper()
	if err := l.Close(f.patient()); err != nil {
		f.Fatalf("close: %v", err)
	}
}

// start does what may never end with a transport that breaks its promises. The function returned waits for
// the end as long as patience lasts, and no longer.
func (f *fixture) start(do func() error) (await func(what string) error) {
	done := make(chan error, 1)
	go func() { done <- do() }()
	return func(what string) error {
		f.Helper()
		select {
		case err := <-done:
			return err
		case <-f.patient().Done():
			f.Fatalf("%s does not end", what)
			return nil
		}
	}
}

// within is start and its end.
func (f *fixture) within(what string, do func() error) error {
	f.Helper()
	return f.start(do)(what)
}

func (f *fixture) startSends(t transport.Transport, to transport.Address, methods []string, request func(method string) *transport.Message) (await func(what string) error) {
	return f.start(func() error {
		for _, m := range methods {
			if err := t.Send(f.Context(), to, request(m)); err != nil {
				return err
			}
		}
		return nil
	})
}

// gather takes and acknowledges what comes to the listeners, each read by a goroutine of its own, until it
// has n in all and silence has followed. It returns the methods, or types of events, that each got, in order.
func (f *fixture) gather(n int, listeners ...transport.Listener) [][]string {
	f.Helper()
	type got struct {
		listener int
		method   string
		err      error
	}
	ctx, cancel := context.WithCancel(f.patient())
	arrivals := make(chan got)
	var readers sync.WaitGroup
	for i, l := range listeners {
		readers.Go(func() {
			for {
				g := got{listener: i}
				d, err := l.Next(ctx)
				if err == nil {
					err = errors.Join(d.Undelivered, d.Ack(ctx))
					g.method = d.Message.Method
					if d.Message.Event != nil {
						g.method = d.Message.Event.Type
					}
				}
				g.err = err
				select {
				case arrivals <- g:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		})
	}
	defer readers.Wait()
	defer cancel()

	all := make([][]string, len(listeners))
	var silence <-chan time.Time
	for count := 0; ; {
		if count == n {
			silence = time.After(f.config.Silence)
		}
		select {
		case g := <-arrivals:
			if g.err != nil {
				f.Fatalf("%s: after %d of %d: %v", listeners[g.listener].Addr(), count, n, g.err)
			}
			count++
			all[g.listener] = append(all[g.listener], g.method)
			if count > n {
				f.Fatalf("%s: got %s, which is one more than the %d that were to come: %q", listeners[g.listener].Addr(), g.method, n, all)
			}
		case <-silence:
			return all
		case <-ctx.Done():
			f.Fatalf("only %d of %d came: %q", count, n, all)
		}
	}
}

// same proves that both hold the same, in whatever order.
func (f *fixture) same(what string, got, want []string) {
	f.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		f.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

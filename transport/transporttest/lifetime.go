package transporttest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.uber.org/goleak"

	"github.com/goslo/goslo/transport"
)

func lifetime() []Case {
	return []Case{
		{Name: "NoGoroutinesLeft", Why: "a closed transport has no goroutines left, nor has a listener that was closed before it", alone: true, run: noGoroutinesLeft},
		{Name: "SendHonoursContext", Why: "Send with a context that has ended is ErrNotSent, and nothing was sent", run: sendHonoursContext},
		{Name: "ListenHonoursContext", Why: "Listen with a context that has ended is an error", run: listenHonoursContext},
		{Name: "NextHonoursContext", Why: "Next returns the context's error when that ends, and the listener goes on", run: nextHonoursContext},
		{Name: "NextTakesNothingAfterItsContext", Why: "Next with a context that has ended takes nothing, whatever is there to be had", run: nextTakesNothingAfterItsContext},
		{Name: "NextGivenUpLosesNothing", Why: "a Next that ended with its context has taken nothing: each message is returned once", run: nextGivenUpLosesNothing},
		{Name: "ListenerCloseEndsNext", Why: "Next returns ErrClosed once its listener is closed, also to one who waits in it", run: listenerCloseEndsNext},
		{Name: "TransportCloseEndsNext", Why: "Next returns ErrClosed once its transport is closed, also to one who waits in it", run: transportCloseEndsNext},
		{Name: "ClosedTransport", Why: "after Close every method of a transport fails with ErrClosed, and other transports go on", run: closedTransport},
		{Name: "CloseAmidSends", Why: "Close while others send ends each Send, with an error of the seam or none, and what was sent without one is not lost", run: closeAmidSends},
		{Name: "Inspect", Why: "an Inspector tells whether an address has been listened at, how many listen and how much waits", needs: Inspect, run: inspect},
		{Name: "Topics", Why: "a Namer names the topics that have listeners", needs: Topics, run: topics},
	}
}

func ended(f *fixture) context.Context {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	return ctx
}

func sendHonoursContext(f *fixture) {
	client := f.open()
	l := f.server("one")
	for _, to := range []transport.Address{f.to("one"), f.fanout(), f.to("")} {
		err := f.within("send to "+to.String(), func() error { return client.Send(ended(f), to, cast("late")) })
		if !errors.Is(err, transport.ErrNotSent) {
			f.Errorf("send to %s: %v, want ErrNotSent", to, err)
		}
	}
	f.silent(l)
	f.send(client, f.to("one"), cast("in time"))
	f.expect(l, "in time")
}

func listenHonoursContext(f *fixture) {
	t := f.open()
	for _, from := range []transport.Address{f.to("one"), {Kind: transport.Reply}} {
		if l, err := t.Listen(ended(f), from, transport.ListenOptions{}); err == nil {
			f.Errorf("listen at %q: no error, and a listener at %s", from, l.Addr())
		}
	}
}

func nextHonoursContext(f *fixture) {
	client := f.open()
	for _, l := range []transport.Listener{f.server("one"), f.replies(client)} {
		next := func(ctx context.Context) func() error {
			return func() error {
				_, err := l.Next(ctx)
				return err
			}
		}
		if err := f.within("next", next(ended(f))); !errors.Is(err, context.Canceled) {
			f.Errorf("%s: next with a context that has ended: %v, want context.Canceled", l.Addr(), err)
		}
		if err := f.within("next", next(expired(f))); !errors.Is(err, context.DeadlineExceeded) {
			f.Errorf("%s: next with a deadline: %v, want context.DeadlineExceeded", l.Addr(), err)
		}
		ctx, cancel := context.WithCancel(f.patient())
		time.AfterFunc(f.config.Silence/10, cancel)
		if err := f.within("next", next(ctx)); !errors.Is(err, context.Canceled) {
			f.Errorf("%s: next with a context that is cancelled meanwhile: %v, want context.Canceled", l.Addr(), err)
		}
	}
	l := f.server("two")
	f.silent(l)
	f.send(client, f.to("two"), cast("in time"))
	f.expect(l, "in time")
}

func nextTakesNothingAfterItsContext(f *fixture) {
	l, client := f.server("one"), f.open()
	answers := f.replies(client)
	over, cancel := context.WithCancel(f.patient())
	cancel()
	for range 3 {
		f.send(client, f.to("one"), cast("waits"))
		f.send(client, replyTo(answers.Addr()), reply("waits", "1"))
	}
	for _, l := range []transport.Listener{l, answers} {
		f.take(l) // so that the others are there, or near
		for end := time.Now().Add(f.config.Silence / 10); time.Now().Before(end); runtime.Gosched() {
			if d, err := l.Next(over); !errors.Is(err, context.Canceled) {
				f.Fatalf("%s: next: %v, %v, want context.Canceled", l.Addr(), d, err)
			}
		}
		f.take(l)
		f.take(l)
	}
}

func nextGivenUpLosesNothing(f *fixture) {
	const n = 200
	l, client := f.server("one"), f.open()
	sent := methods("m", n)
	await := f.startSends(client, f.to("one"), sent, cast)
	var got []string
	for patient := f.patient(); len(got) < n; {
		// Short and of varied length, so that some end just as a message comes.
		ctx, cancel := context.WithTimeout(patient, time.Duration(len(got)%20)*10*time.Microsecond)
		d, err := l.Next(ctx)
		cancel()
		switch {
		case err == nil:
			f.ack(d)
			got = append(got, d.Message.Method)
		case patient.Err() != nil:
			f.Fatalf("only %d of %d came", len(got), n)
		case !errors.Is(err, context.DeadlineExceeded):
			f.Fatalf("next: %v", err)
		case len(got)%20 == 0:
			// A timeout of nothing gets nothing: move on with one that waits.
			got = append(got, f.take(l).Message.Method)
		}
	}
	if err := await("send"); err != nil {
		f.Fatalf("send: %v", err)
	}
	if !slices.Equal(got, sent) {
		f.Errorf("got %q, want each once and in order", got)
	}
	f.silent(l)
}

// endsNext proves that a Next that waits, and one that comes later, end in ErrClosed when end is called.
func (f *fixture) endsNext(l transport.Listener, end func()) {
	f.Helper()
	waiting := make(chan struct{})
	await := f.start(func() error {
		close(waiting)
		_, err := l.Next(f.Context())
		return err
	})
	<-waiting
	end()
	if err := await("next after the close"); !errors.Is(err, transport.ErrClosed) {
		f.Errorf("%s: next: %v, want ErrClosed", l.Addr(), err)
	}
	if _, err := l.Next(f.patient()); !errors.Is(err, transport.ErrClosed) {
		f.Errorf("%s: next after the close: %v, want ErrClosed", l.Addr(), err)
	}
}

func listenerCloseEndsNext(f *fixture) {
	t := f.open()
	for _, from := range []transport.Address{f.to("one"), {Kind: transport.Reply}} {
		l := f.listen(t, from, 0)
		f.silent(l)
		f.endsNext(l, func() { f.close(l) })
		if err := l.Close(f.patient()); err != nil && !errors.Is(err, transport.ErrClosed) {
			f.Errorf("close again: %v, want nil or ErrClosed", err)
		}
	}
	l := f.listen(t, f.to("one"), 0)
	f.send(t, f.to("one"), cast("after"))
	f.expect(l, "after")
}

func transportCloseEndsNext(f *fixture) {
	for _, from := range []transport.Address{f.to("one"), {Kind: transport.Reply}} {
		t := f.open()
		l := f.listen(t, from, 0)
		f.silent(l)
		f.endsNext(l, func() { f.close(t) })
	}
}

// conforms: TRN-13
func closedTransport(f *fixture) {
	other, t := f.open(), f.open()
	l := f.listen(other, f.to("one"), 0)
	f.send(t, f.to("one"), cast("before"))
	f.expect(l, "before")
	f.listen(t, f.to("two"), 0)
	f.close(t)
	for _, to := range []transport.Address{f.to("one"), f.fanout(), replyTo("x")} {
		if err := t.Send(f.patient(), to, cast("late")); !errors.Is(err, transport.ErrClosed) {
			f.Errorf("send to %s: %v, want ErrClosed", to, err)
		}
	}
	for _, from := range []transport.Address{f.to("one"), {Kind: transport.Reply}} {
		if _, err := t.Listen(f.patient(), from, transport.ListenOptions{}); !errors.Is(err, transport.ErrClosed) {
			f.Errorf("listen at a %s address: %v, want ErrClosed", from.Kind, err)
		}
	}
	if err := t.Close(f.patient()); err != nil && !errors.Is(err, transport.ErrClosed) {
		f.Errorf("close again: %v, want nil or ErrClosed", err)
	}
	f.silent(l)
	f.send(other, f.to("one"), cast("after"))
	f.expect(l, "after")
}

func closeAmidSends(f *fixture) {
	const senders = 8
	l, client := f.server("one"), f.open()
	ctx := f.patient()
	var sending sync.WaitGroup
	started := make(chan struct{}, senders)
	sure, failed := make([][]string, senders), make([]error, senders)
	for i := range senders {
		sending.Go(func() {
			for n := 0; failed[i] == nil; n++ {
				m := fmt.Sprintf("s%d-%d", i, n)
				if failed[i] = client.Send(ctx, f.to("one"), cast(m)); failed[i] == nil {
					sure[i] = append(sure[i], m)
				}
				if n == 0 {
					started <- struct{}{}
				}
				runtime.Gosched() // or Close would come late, and after a great many messages
			}
		})
	}
	for range senders {
		<-started
	}
	f.close(client)
	sending.Wait()
	got := map[string]bool{}
	want := slices.Concat(sure...)
	for i, err := range failed {
		if !errors.Is(err, transport.ErrClosed) && !errors.Is(err, transport.ErrNotSent) && !errors.Is(err, transport.ErrInDoubt) {
			f.Errorf("sender %d: %v, want ErrClosed, ErrNotSent or ErrInDoubt", i, err)
		}
	}
	for _, m := range want {
		for !got[m] { // those in doubt may come in between
			got[f.take(l).Message.Method] = true
		}
	}
}

func inspect(f *fixture) {
	client := f.open()
	state := func(at transport.Address) (transport.AddressState, bool) {
		i, ok := client.(transport.Inspector)
		if !ok {
			return transport.AddressState{}, f.supports("inspect", fmt.Errorf("the transport is no Inspector: %w", errors.ErrUnsupported))
		}
		s, err := i.Inspect(f.patient(), at)
		return s, f.supports("inspect "+at.String(), err)
	}
	check := func(at transport.Address, exists bool, listeners, waiting int) {
		f.Helper()
		s, ok := state(at)
		if ok && (s.Exists != exists || s.Listeners != listeners && s.Listeners != -1 || s.Waiting != waiting && s.Waiting != -1) {
			f.Errorf("%s: got %+v, want exists %t, %d listeners (or -1), %d waiting (or -1)", at, s, exists, listeners, waiting)
		}
	}
	if _, ok := state(f.to("")); !ok {
		return
	}
	check(f.to(""), false, 0, 0)
	check(f.to("one"), false, 0, 0)
	one, two := f.server("one"), f.server("two")
	check(f.to(""), true, 2, 0)
	check(f.to("one"), true, 1, 0)
	check(f.to("three"), false, 0, 0)
	f.close(two)
	check(f.to(""), true, 1, 0)
	check(f.to("two"), true, 0, 0)
	f.close(one)
	if f.lacks(Keeps) {
		return
	}
	for _, server := range []string{"", "one", "one"} {
		f.send(client, f.to(server), cast("wait"))
	}
	check(f.to(""), true, 0, 1)
	check(f.to("one"), true, 0, 2)
}

func topics(f *fixture) {
	client := f.open()
	named := func(topic string) (found, ok bool) {
		n, is := client.(transport.Namer)
		if !is {
			return false, f.supports("list topics", fmt.Errorf("the transport is no Namer: %w", errors.ErrUnsupported))
		}
		all, err := n.Topics(f.patient(), "")
		return slices.Contains(all, topic), f.supports("list topics", err)
	}
	found, ok := named(f.topic)
	if !ok {
		return
	}
	if found {
		f.Errorf("%s is named before anyone listened", f.topic)
	}
	l := f.server("one")
	if found, _ := named(f.topic); !found {
		f.Errorf("%s is not named although a server listens", f.topic)
	}
	f.close(l)
}

func noGoroutinesLeft(f *fixture) {
	before := goleak.IgnoreCurrent()
	server, client := f.open(), f.open()
	l := f.listen(server, f.to("one"), 0)
	unread := f.listen(server, f.to("two"), 0)
	answers := f.replies(client)
	f.send(client, f.to("one"), call("ask", answers.Addr()))
	d := f.expect(l, "ask")
	f.send(server, replyTo(d.Message.ReplyTo), reply(d.Message.ID, "1"))
	f.take(answers)
	f.send(client, f.to("two"), cast("unread"))
	f.silent(l)
	f.close(l)
	f.close(server)
	f.close(client)
	if _, err := unread.Next(f.patient()); !errors.Is(err, transport.ErrClosed) {
		f.Errorf("next: %v, want ErrClosed", err)
	}
	if err := goleak.Find(before); err != nil {
		f.Errorf("%v", err)
	}
}

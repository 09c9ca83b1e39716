package transporttest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/goslo/goslo/transport"
)

func replies() []Case {
	return []Case{
		{Name: "ReplyReachesItsListener", Why: "a reply reaches the listener whose Addr it names and no other, be they of one transport or of several", run: replyReachesItsListener},
		{Name: "HeartbeatsThenReply", Why: "several messages to one reply address arrive in the order sent", run: heartbeatsThenReply},
		{Name: "ReplyToAGoneListener", Why: "a reply to a listener that is gone does not hold its sender, nor anybody else", run: replyToAGoneListener},
		{Name: "ManyCallers", Why: "64 callers that share one reply listener get an answer each, and each its own", run: manyCallers},
	}
}

func replyReachesItsListener(f *fixture) {
	server := f.server("one")
	own, others := f.open(), f.open()
	listeners := []transport.Listener{f.replies(own), f.replies(own), f.replies(others)}
	for i, l := range listeners {
		if l.Addr() == "" {
			f.Fatalf("reply listener %d has no address", i)
		}
		for _, m := range listeners[:i] {
			if l.Addr() == m.Addr() {
				f.Fatalf("two reply listeners have the address %s", l.Addr())
			}
		}
	}
	answering := f.open()
	for range 3 {
		for i, l := range listeners {
			caller := own
			if i == 2 {
				caller = others
			}
			m := call("ask", l.Addr())
			f.send(caller, f.to(""), m)
			d := f.expect(server, "ask")
			if d.Message.ReplyTo != l.Addr() || d.Message.ID != m.ID {
				f.Fatalf("the request came with reply address %q and id %q, want %q and %q", d.Message.ReplyTo, d.Message.ID, l.Addr(), m.ID)
			}
			f.send(answering, replyTo(d.Message.ReplyTo), reply(d.Message.ID, fmt.Sprint(i)))
			r := f.take(l)
			if r.Undelivered != nil || r.Message.ID != m.ID || string(r.Message.Result) != fmt.Sprint(i) || !r.Message.Ending {
				f.Errorf("listener %d got %+v (undelivered: %v), want the reply to %s", i, r.Message, r.Undelivered, m.ID)
			}
			if r.To.Kind != transport.Reply {
				f.Errorf("listener %d got a delivery of kind %s, want reply", i, r.To.Kind)
			}
		}
	}
	for _, l := range listeners {
		f.silent(l)
	}
}

func heartbeatsThenReply(f *fixture) {
	answers, server := f.replies(f.open()), f.open()
	id := newID()
	const beats = 20
	for range beats {
		f.send(server, replyTo(answers.Addr()), &transport.Message{ID: id, UniqueID: newID()})
	}
	f.send(server, replyTo(answers.Addr()), reply(id, "true"))
	for i := range beats + 1 {
		if d := f.take(answers); d.Message.ID != id || d.Message.Ending != (i == beats) {
			f.Fatalf("message %d: got id %q, ending %t; want %q, and only the last is the ending", i, d.Message.ID, d.Message.Ending, id)
		}
	}
}

func replyToAGoneListener(f *fixture) {
	caller, server := f.open(), f.open()
	gone, stays := f.replies(caller), f.replies(caller)
	addr := gone.Addr()
	f.close(gone)
	for _, to := range []string{addr, addr + "-never"} {
		await := f.start(func() error { return server.Send(f.Context(), replyTo(to), reply(newID(), "1")) })
		f.send(server, replyTo(stays.Addr()), reply("second", "2"))
		if d := f.take(stays); d.Message.ID != "second" {
			f.Fatalf("got a reply to %q, want the second one", d.Message.ID)
		}
		if err := await("the reply to " + to + ", which is gone,"); err != nil && !errors.Is(err, transport.ErrNoListener) {
			f.Errorf("reply to %s: %v, want nil or ErrNoListener", to, err)
		}
	}
}

func manyCallers(f *fixture) {
	const callers, each = 64, 5
	client := f.open()
	server, answers := f.server("one"), f.replies(client)
	answering := f.open()
	ctx, cancel := context.WithCancel(f.patient())
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	failed := make(chan error, callers+1)
	wait.Go(func() { // the server: answers each call with its own method
		for range callers * each {
			d, err := server.Next(ctx)
			if err == nil {
				err = errors.Join(d.Ack(ctx), answering.Send(ctx, replyTo(d.Message.ReplyTo), reply(d.Message.ID, `"`+d.Message.Method+`"`)))
			}
			if err != nil {
				failed <- fmt.Errorf("server: %w", err)
				return
			}
		}
	})
	want := make(chan [2]string, callers*each) // id, method
	for i := range callers {
		wait.Go(func() {
			for _, method := range methods(fmt.Sprintf("c%d-", i), each) {
				m := call(method, answers.Addr())
				want <- [2]string{m.ID, method}
				if err := client.Send(ctx, f.to(""), m); err != nil {
					failed <- fmt.Errorf("caller: %w", err)
					return
				}
			}
		})
	}
	got := map[string]string{}
	for range callers * each {
		d, err := answers.Next(ctx)
		if err != nil {
			select {
			case cause := <-failed:
				f.Fatalf("after %d answers: %v", len(got), cause)
			default:
				f.Fatalf("after %d answers: %v", len(got), err)
			}
		}
		f.ack(d)
		if d.Undelivered != nil {
			f.Fatalf("a call was given back: %v", d.Undelivered)
		}
		got[d.Message.ID] = string(d.Message.Result)
	}
	for range callers * each {
		if w := <-want; got[w[0]] != `"`+w[1]+`"` {
			f.Errorf("the call %s got %s", w[1], got[w[0]])
		}
	}
	f.silent(answers)
}

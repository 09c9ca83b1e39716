package transporttest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/goslo/goslo/transport"
)

func settling() []Case {
	return []Case{
		{Name: "AckRemoves", Why: "what was acknowledged is not delivered again, even when listener and transport close", run: ackRemoves},
		{Name: "SettleAfterClose", Why: "deliveries that Next has returned may be settled, and replied to, after their listener was closed", run: settleAfterClose},
		{Name: "Requeue", Why: "a requeued message is delivered again, marked as redelivered and otherwise as it was sent", needs: Requeue, run: requeue},
		{Name: "UnsettledComesBack", Why: "what was handed over and not settled goes to another listener when the transport closes, marked as redelivered", needs: Redelivery, skippable: true, run: unsettledComesBack},
		{Name: "RedeliveryAsClaimed", Why: "what was handed over and not settled comes back when the transport closes where its Redelivery says so, and only there", run: redeliveryAsClaimed},
		{Name: "UntakenComesBack", Why: "what a closed listener had not returned from Next goes to another listener", needs: Redelivery, skippable: true, run: untakenComesBack},
		{Name: "PrefetchBounds", Why: "a listener with Prefetch unsettled deliveries gets no more until one is settled", run: prefetchBounds},
		{Name: "BackPressure", Why: "a listener that nobody reads holds at most Prefetch messages; the topic's other servers get the rest", run: backPressure},
		{Name: "KeptWhileAway", Why: "what is sent to a topic or server that has been there waits while it is away", needs: Keeps, skippable: true, run: keptWhileAway},
		{Name: "CallKeptWhileAway", Why: "a call to a topic that has been there waits while it is away, or is ErrNoListener at once", run: callKeptWhileAway},
		{Name: "Expires", Why: "a call that nobody took before it expired is dropped", needs: Expiry, skippable: true, run: expires},
	}
}

func ackRemoves(f *fixture) {
	first := f.open()
	l := f.listen(first, f.to("one"), 0)
	client := f.open()
	for _, to := range []transport.Address{f.to(""), f.to("one"), f.fanout()} {
		f.send(client, to, cast("once"))
		f.expect(l, "once")
	}
	f.silent(l)
	f.close(l)
	f.close(first)
	again := f.server("one")
	f.silent(again)
	f.send(client, f.to("one"), cast("new"))
	f.expect(again, "new")
}

func settleAfterClose(f *fixture) {
	first := f.open()
	client := f.open()
	l, answers := f.listen(first, f.to("one"), 0), f.replies(client)
	f.send(client, f.to("one"), cast("cast"))
	one := f.next(l)
	f.send(client, f.to("one"), call("call", answers.Addr()))
	two := f.next(l)
	f.close(l)
	f.ack(one)
	f.ack(two)
	f.send(first, replyTo(two.Message.ReplyTo), reply(two.Message.ID, "1"))
	if d := f.take(answers); d.Message.ID != two.Message.ID {
		f.Errorf("got a reply to %q, want to %q", d.Message.ID, two.Message.ID)
	}
	f.close(first)
	f.silent(f.server("one"))
}

func requeue(f *fixture) {
	l, client := f.server("one"), f.open()
	m := cast("again")
	m.Args = []byte(`{"a":1}`)
	f.send(client, f.to("one"), m)
	for range 2 {
		d := f.next(l)
		d.Message.Method, d.Message.Args = "spoilt", nil
		if !f.supports("requeue", d.Requeue(f.patient())) {
			return
		}
	}
	d := f.take(l)
	f.sameMessage("the requeued message", d.Message, *m)
	if !d.Redelivered {
		f.Errorf("a requeued message is not marked as redelivered")
	}
	f.silent(l)
}

func unsettledComesBack(f *fixture) {
	first, client := f.open(), f.open()
	l := f.listen(first, f.to("one"), 0)
	f.send(client, f.to("one"), cast("m0"))
	f.send(client, f.to("one"), cast("m1"))
	f.send(client, f.to(""), cast("m2"))
	for range 3 {
		f.next(l)
	}
	f.close(first)
	again := f.server("one")
	var got []string
	for range 3 {
		d := f.take(again)
		got = append(got, d.Message.Method)
		if !d.Redelivered {
			f.Errorf("%s is not marked as redelivered", d.Message.Method)
		}
	}
	f.same("what came back", got, methods("m", 3))
	f.silent(again)
}

func redeliveryAsClaimed(f *fixture) {
	first, client := f.open(), f.open()
	r, ok := first.(transport.Redeliverer)
	if !ok {
		f.Log("the transport claims nothing: it is no Redeliverer")
		return
	}
	claims, answers := r.Redelivery(), f.replies(client)
	l := f.listen(first, f.to("one"), 0)
	f.send(client, f.to("one"), cast("cast"))
	f.send(client, f.to("one"), call("call", answers.Addr()))
	f.next(l)
	f.next(l)
	f.close(first)
	var want []string
	if claims.Casts {
		want = append(want, "cast")
	}
	if claims.Calls {
		want = append(want, "call")
	}
	f.same("what came back", f.gather(len(want), f.server("one"))[0], want)
	if (claims.Within == 0) != (claims.WithinName == "") {
		f.Errorf("a limit of %s has the name %q", claims.Within, claims.WithinName)
	}
}

func untakenComesBack(f *fixture) {
	first, client := f.open(), f.open()
	l := f.listen(first, f.to("one"), 10)
	sent := methods("m", 5)
	for _, m := range sent {
		f.send(client, f.to("one"), cast(m))
	}
	got := []string{f.take(l).Message.Method}
	f.close(l)
	f.same("both", append(f.gather(4, f.server("one"))[0], got...), sent)
}

func prefetchBounds(f *fixture) {
	l, client := f.listen(f.open(), f.to("one"), 3), f.open()
	for _, request := range f.requests(client) {
		for _, m := range methods("m", 5) {
			f.send(client, f.to("one"), request(m))
		}
		held := []*transport.Delivery{f.next(l), f.next(l), f.next(l)}
		f.silent(l)
		f.ack(held[1])
		held[1] = f.next(l)
		f.silent(l)
		for _, d := range held {
			f.ack(d)
		}
		f.take(l)
		f.silent(l)
	}
}

func backPressure(f *fixture) {
	const prefetch, n = 3, 20
	unread, client := f.listen(f.open(), f.to("unread"), prefetch), f.open()
	sent := methods("m", n)
	for _, m := range sent[:n/2] {
		f.send(client, f.to(""), cast(m))
	}
	f.silent(f.replies(client)) // time for a bus that hands over ahead of Next
	l := f.listen(f.open(), f.to("read"), prefetch)
	for _, m := range sent[n/2:] {
		f.send(client, f.to(""), cast(m))
	}
	got := make([]string, 0, n)
	for range n - prefetch {
		got = append(got, f.take(l).Message.Method)
	}
	// The rest may be with either.
	for len(got) < n {
		ctx, cancel := context.WithTimeout(f.Context(), f.config.Silence)
		d, err := l.Next(ctx)
		cancel()
		if err != nil {
			break
		}
		f.ack(d)
		got = append(got, d.Message.Method)
	}
	for len(got) < n {
		got = append(got, f.take(unread).Message.Method)
	}
	f.same("both", got, sent)
}

func keptWhileAway(f *fixture) {
	first, client := f.open(), f.open()
	l := f.listen(first, f.to("one"), 0)
	f.close(l)
	f.close(first)
	sent := methods("m", 6)
	for i, m := range sent {
		f.send(client, f.to([]string{"", "one"}[i%2]), cast(m))
	}
	f.same("what waited", f.gather(len(sent), f.server("one"))[0], sent)
}

func callKeptWhileAway(f *fixture) {
	first, client := f.open(), f.open()
	answers := f.replies(client)
	l := f.listen(first, f.to("one"), 0)
	f.close(l)
	f.close(first)
	if f.lacks(KeepsCalls) {
		f.noListener(client, answers, "")
		f.noListener(client, answers, "one")
		return
	}
	f.send(client, f.to(""), call("m0", answers.Addr()))
	f.send(client, f.to("one"), call("m1", answers.Addr()))
	f.same("what waited", f.gather(2, f.server("one"))[0], methods("m", 2))
	f.silent(answers)
}

func expires(f *fixture) {
	client := f.open()
	l, answers := f.listen(f.open(), f.to("one"), 1), f.replies(client)
	f.send(client, f.to("one"), cast("first"))
	held := f.next(l)
	late, later := call("late", answers.Addr()), call("later", answers.Addr())
	late.Expires, later.Expires = f.config.Silence/4, time.Hour
	f.send(client, f.to("one"), late)
	f.send(client, f.to("one"), later)
	f.silent(l) // the listener is full, and one of the calls expires meanwhile
	f.ack(held)
	got := f.gather(1, l)
	if !slices.Equal(got[0], []string{"later"}) {
		f.Errorf("got %q, want only the call that did not expire", got[0])
	}
	d, err := answers.Next(expired(f))
	if err == nil {
		f.Errorf("the caller got %+v, want nothing", d.Message)
	} else if !errors.Is(err, context.DeadlineExceeded) {
		f.Errorf("next: %v", err)
	}
}

// expired is a context whose deadline is over soon.
func expired(f *fixture) context.Context {
	ctx, cancel := context.WithTimeout(f.Context(), f.config.Silence)
	f.Cleanup(cancel)
	return ctx
}

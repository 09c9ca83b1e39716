package transporttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/goslo/goslo/transport"
)

func routing() []Case {
	return []Case{
		{Name: "Requests", Why: "what is sent to a topic reaches its server, or a transport without requests says errors.ErrUnsupported", needs: Requests, run: requests},
		{Name: "TopicReachesOneServer", Why: "what is sent to a topic reaches exactly one of its servers", run: topicReachesOneServer},
		{Name: "ServersShareATopic", Why: "a topic's servers share its messages: one that is busy does not keep the others from theirs", run: serversShareATopic},
		{Name: "ServerReachesThatServer", Why: "what is sent to a server of a topic reaches that server and no other", run: serverReachesThatServer},
		{Name: "ServersOfOneName", Why: "listeners that give the same name share what is sent to that server, as a new process and the one that it replaces do, and hear every fanout", run: serversOfOneName},
		{Name: "FanoutReachesEveryServer", Why: "a fanout reaches every live server of its topic once, and no other topic", needs: Multicast, skippable: true, run: fanoutReachesEveryServer},
		{Name: "FanoutToNobody", Why: "a fanout message that nobody hears is not an error", run: fanoutToNobody},
		{Name: "NothingMissedAfterListen", Why: "when Listen has returned, no message sent from then on is missed", run: nothingMissedAfterListen},
		{Name: "CastToNobody", Why: "a cast to a topic, or to a server of it, that nobody ever listened at fails at once with ErrNoListener", needs: Absence, skippable: true, run: castToNobody},
		{Name: "CallToNobody", Why: "a call to a topic, or to a server of it, that nobody ever listened at fails at once with ErrNoListener, from Send or by Delivery.Undelivered at the reply listener", needs: Absence, skippable: true, run: callToNobody},
		{Name: "OrderIsKept", Why: "messages from one sender to one server arrive in the order sent", run: orderIsKept},
		{Name: "ManySenders", Why: "a transport is safe for concurrent use: what 64 senders send at a time arrives once each", run: manySenders},
		{Name: "BadAddress", Why: "an address that lacks its kind or topic, and for a server its name, is an error", run: badAddress},
		{Name: "ExchangesAreSeparate", Why: "equal topics on different exchanges are different topics, and no exchange means the transport's default one", needs: SeparateExchanges, skippable: true, run: exchangesAreSeparate},
	}
}

func methods(prefix string, n int) []string {
	m := make([]string, n)
	for i := range m {
		m[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return m
}

func requests(f *fixture) {
	client := f.open()
	l, err := client.Listen(f.patient(), f.to("one"), transport.ListenOptions{})
	if !f.supports("listen for requests", err) {
		if err := client.Send(f.patient(), f.to("one"), cast("x")); !errors.Is(err, errors.ErrUnsupported) {
			f.Errorf("send a request: %v, want ErrUnsupported as from Listen", err)
		}
		return
	}
	f.send(client, f.to(""), cast("x"))
	f.expect(l, "x")
	f.silent(l)
}

func topicReachesOneServer(f *fixture) {
	one, two, client := f.server("one"), f.server("two"), f.open()
	for kind, request := range f.requests(client) {
		sent := methods(kind, 20)
		for _, m := range sent {
			f.send(client, f.to(""), request(m))
		}
		f.same("both servers", slices.Concat(f.gather(len(sent), one, two)...), sent)
	}
}

func serversShareATopic(f *fixture) {
	one, two := f.listen(f.open(), f.to("one"), 1), f.listen(f.open(), f.to("two"), 1)
	client := f.open()
	f.send(client, f.to(""), cast("first"))
	f.send(client, f.to(""), cast("second"))
	a, b := f.next(one), f.next(two)
	f.same("one each", []string{a.Message.Method, b.Message.Method}, []string{"first", "second"})
	f.ack(a)
	f.ack(b)
	f.send(client, f.to(""), cast("third"))
	f.same("both", slices.Concat(f.gather(1, one, two)...), []string{"third"})
}

func serverReachesThatServer(f *fixture) {
	one, two, client := f.server("one"), f.server("two"), f.open()
	for kind, request := range f.requests(client) {
		toOne, toTwo := methods(kind+"-one", 10), methods(kind+"-two", 10)
		for i := range toOne {
			f.send(client, f.to("one"), request(toOne[i]))
			f.send(client, f.to("two"), request(toTwo[i]))
		}
		got := f.gather(20, one, two)
		f.same("server one", got[0], toOne)
		f.same("server two", got[1], toTwo)

		f.send(client, f.to("one"), request("last"))
		d := f.expect(one, "last")
		if d.To.Kind != transport.Topic || d.To.Server != "" && d.To.Server != "one" || d.Redelivered {
			f.Errorf("got a %s addressed to %+v (redelivered: %t), want a first one to the topic or to server one", kind, d.To, d.Redelivered)
		}
	}
	if addr := one.Addr(); !strings.Contains(addr, f.topic) || !strings.Contains(addr, "one") {
		f.Errorf("server one of topic %s is at %q, which does not say so", f.topic, addr)
	}
}

func serversOfOneName(f *fixture) {
	listeners := []transport.Listener{f.server("one"), f.server("one")}
	client := f.open()
	for kind, request := range f.requests(client) {
		sent := methods(kind, 20)
		for _, m := range sent {
			f.send(client, f.to("one"), request(m))
		}
		f.same("both", slices.Concat(f.gather(len(sent), listeners...)...), sent)
	}
	if f.lacks(Multicast) {
		return
	}
	f.send(client, f.fanout(), cast("fanout"))
	for _, l := range listeners {
		f.expect(l, "fanout")
	}
}

func fanoutReachesEveryServer(f *fixture) {
	client := f.open()
	servers := []transport.Listener{f.server("one"), f.server("two"), f.server("three"), f.listen(client, f.to("four"), 0)}
	other := f.listen(client, transport.Address{Kind: transport.Topic, Topic: f.topic + "-other", Server: "one"}, 0)
	gone := f.server("gone")
	f.close(gone)
	sent := methods("m", 5)
	for _, m := range sent {
		f.send(client, f.fanout(), cast(m))
	}
	for i, got := range f.gather(len(sent)*len(servers), append(servers, other)...) {
		if i < len(servers) {
			f.same("server", got, sent)
		} else if len(got) > 0 {
			f.Errorf("another topic's server got %q", got)
		}
	}
	f.send(client, f.fanout(), cast("last"))
	for _, l := range servers {
		if d := f.expect(l, "last"); d.To.Kind != transport.Fanout {
			f.Errorf("got a delivery of kind %s, want fanout", d.To.Kind)
		}
	}
}

func fanoutToNobody(f *fixture) {
	client := f.open()
	f.send(client, f.fanout(), cast("never heard"))
	l := f.server("one")
	f.close(l)
	f.send(client, f.fanout(), cast("no longer heard"))
}

func nothingMissedAfterListen(f *fixture) {
	client := f.open()
	servers := f.open()
	for i := range 10 {
		f.topic = unique(f.TB)
		l := f.listen(servers, f.to("one"), 0)
		want := []string{fmt.Sprint("topic", i), fmt.Sprint("server", i), fmt.Sprint("fanout", i)}
		f.send(client, f.to(""), cast(want[0]))
		f.send(client, f.to("one"), cast(want[1]))
		f.send(client, f.fanout(), cast(want[2]))
		f.same("all three", []string{f.take(l).Message.Method, f.take(l).Message.Method, f.take(l).Message.Method}, want)
	}
}

func castToNobody(f *fixture) {
	client := f.open()
	try := func(server string) {
		f.Helper()
		if err := client.Send(f.patient(), f.to(server), cast("lost")); !errors.Is(err, transport.ErrNoListener) {
			f.Errorf("cast to %s: %v, want ErrNoListener", f.to(server), err)
		}
	}
	try("")
	try("one")
	l := f.server("two")
	try("one")
	f.send(client, f.to("two"), cast("found"))
	f.expect(l, "found")
}

func callToNobody(f *fixture) {
	client := f.open()
	answers := f.replies(client)
	f.noListener(client, answers, "")
	f.noListener(client, answers, "one")
	l := f.server("two")
	f.noListener(client, answers, "one")
	f.send(client, f.to("two"), call("found", answers.Addr()))
	f.expect(l, "found")
	f.silent(answers)
}

// noListener proves that a call ends in ErrNoListener, one way or the other.
func (f *fixture) noListener(client transport.Transport, answers transport.Listener, server string) {
	f.Helper()
	m := call("lost", answers.Addr())
	err := client.Send(f.patient(), f.to(server), m)
	if err == nil {
		d := f.take(answers)
		if d.Message.ID != m.ID {
			f.Fatalf("call to %s: got an answer to another call", f.to(server))
		}
		err = d.Undelivered
	}
	if !errors.Is(err, transport.ErrNoListener) {
		f.Errorf("call to %s: %v, want ErrNoListener", f.to(server), err)
	}
}

func orderIsKept(f *fixture) {
	l, client := f.server("one"), f.open()
	for kind, request := range f.requests(client) {
		sent := methods(kind, 200)
		await := f.startSends(client, f.to("one"), sent, request)
		var got []string
		for range sent {
			got = append(got, f.take(l).Message.Method)
		}
		if err := await("send"); err != nil {
			f.Fatalf("send: %v", err)
		}
		if !slices.Equal(got, sent) {
			f.Errorf("got %q, want %s0, %s1, ... in order", got, kind, kind)
		}
	}
}

func manySenders(f *fixture) {
	const senders, each = 64, 10
	l, client := f.server("one"), f.open()
	ctx, cancel := context.WithCancel(f.patient())
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel()
	failed := make(chan error, senders)
	var sent []string
	for i := range senders {
		own := methods(fmt.Sprintf("s%d-", i), each)
		sent = append(sent, own...)
		sending.Go(func() {
			for n, m := range own {
				to := f.to("")
				if n%2 == 1 {
					to = f.to("one")
				}
				if err := client.Send(ctx, to, cast(m)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	got := f.gather(senders*each, l)
	sending.Wait()
	close(failed)
	for err := range failed {
		f.Errorf("send: %v", err)
	}
	f.same("the server", got[0], sent)
}

func badAddress(f *fixture) {
	t := f.open()
	for _, to := range []transport.Address{{}, {Topic: f.topic}, {Kind: transport.Topic}, {Kind: transport.Fanout}, {Kind: transport.Reply}, {Kind: 99, Topic: f.topic}} {
		if err := t.Send(f.patient(), to, cast("lost")); err == nil {
			f.Errorf("send to %+v: no error", to)
		}
	}
	for _, from := range []transport.Address{{}, {Kind: transport.Topic, Topic: f.topic}, {Kind: transport.Topic, Server: "one"}, {Kind: transport.Fanout, Topic: f.topic}, {Kind: 99, Topic: f.topic, Server: "one"}} {
		if _, err := t.Listen(f.patient(), from, transport.ListenOptions{}); err == nil {
			f.Errorf("listen at %+v: no error", from)
		}
	}
}

func exchangesAreSeparate(f *fixture) {
	client := f.open()
	at := func(exchange, server string) transport.Address {
		a := f.to(server)
		if exchange != "" {
			a.Exchange = f.topic + exchange
		}
		return a
	}
	none := f.listen(client, at("", "one"), 0)
	a, b := f.listen(client, at("a", "one"), 0), f.listen(client, at("b", "one"), 0)
	for _, exchange := range []string{"", "a", "b"} {
		f.send(client, at(exchange, ""), cast("topic"+exchange))
		f.send(client, at(exchange, "one"), cast("server"+exchange))
	}
	got := f.gather(6, none, a, b)
	f.same("the default exchange", got[0], []string{"topic", "server"})
	f.same("exchange a", got[1], []string{"topica", "servera"})
	f.same("exchange b", got[2], []string{"topicb", "serverb"})
	if f.lacks(Absence) {
		return
	}
	if err := client.Send(f.patient(), at("c", ""), cast("lost")); !errors.Is(err, transport.ErrNoListener) {
		f.Errorf("send to an exchange without listeners: %v, want ErrNoListener", err)
	}
}

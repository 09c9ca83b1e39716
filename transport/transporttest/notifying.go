package transporttest

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/goslo/goslo/transport"
)

func notifying() []Case {
	return []Case{
		{Name: "NotificationReachesOneListener", Why: "a notification reaches exactly one of the listeners without a pool, and the priorities of a topic are apart", needs: Notifications, run: notificationReachesOneListener},
		{Name: "NotificationWaitsForItsListener", Why: "a notification waits for the first listener, and while all are away; where the bus keeps none, its sender hears that nobody listens", needs: Notifications, skippable: true, run: notificationWaitsForItsListener},
		{Name: "NotificationPools", Why: "each pool gets every notification once from its first listener on, and its members share them; so do the listeners without a pool", needs: Notifications | Pools, run: notificationPools},
		{Name: "NotificationTemporaryPool", Why: "a temporary pool gets every notification while it is listened to, takes none from others, and is not left behind", needs: Notifications | Pools | TemporaryPools, run: notificationTemporaryPool},
		{Name: "NotificationPoolsWait", Why: "a notification waits for each pool that has had a listener, and for those without a pool also before they had one", needs: Notifications | Pools | KeepsNotifications, skippable: true, run: notificationPoolsWait},
		{Name: "NotificationSurvives", Why: "every member of a notification arrives as it was sent, in both formats, and an absent one as its default", needs: Notifications, skippable: true, run: notificationSurvives},
		{Name: "NotificationIsTheReceivers", Why: "the transport does not keep a notification after Send returned, and what one receiver does to it, another does not see", needs: Notifications | Pools, skippable: true, run: notificationIsTheReceivers},
		{Name: "NotificationRequeue", Why: "a notification that was given back is delivered again, marked as redelivered and otherwise as it was sent", needs: Notifications | Requeue, skippable: true, run: notificationRequeue},
		{Name: "NotificationRequeueInPool", Why: "a notification that a pool has given back is delivered again to a listener of that pool alone", needs: Notifications | Pools | Requeue, skippable: true, run: notificationRequeueInPool},
		{Name: "NotificationSettledLate", Why: "a notification that was handed over and not settled comes back when the transport closes, and one that was acknowledged does not", needs: Notifications | Redelivery, skippable: true, run: notificationSettledLate},
		{Name: "NotificationPrefetch", Why: "a listener holds as many notifications unsettled as Prefetch says, so many that make a batch, and gets no more until one is settled", needs: Notifications, skippable: true, run: notificationPrefetch},
		{Name: "NotificationInOrder", Why: "notifications of one priority from one sender to one listener arrive in the order sent", needs: Notifications, skippable: true, run: notificationInOrder},
		{Name: "NotificationAmiss", Why: "a request at an address of notifications, a notification at one of requests, and an address without a topic are ErrRejected", needs: Notifications, skippable: true, run: notificationAmiss},
	}
}

// notified is the address of notifications of a priority on the case's topic.
func (f *fixture) notified(priority, pool string) transport.Address {
	return transport.Address{Kind: transport.Notification, Topic: f.topic + "." + priority, Pool: pool}
}

// pool is a name of the case's own: pools are everybody's, whatever their topic.
func (f *fixture) pool(name string) string { return "pool-" + f.topic + "-" + name }

// event is a notification that is known by its type.
func event(name string) *transport.Message {
	return &transport.Message{UniqueID: newID(), Event: &transport.Event{
		ID: newID(), Publisher: "test.host-1", Type: name, Priority: "INFO", Payload: json.RawMessage(`{"a":1}`), Timestamp: "2026-05-04 10:11:12.000345",
	}}
}

// told takes the next notification of a listener, which must be this one.
func (f *fixture) told(l transport.Listener, name string) *transport.Delivery {
	f.Helper()
	d := f.toldUnsettled(l, name)
	f.ack(d)
	return d
}

func (f *fixture) toldUnsettled(l transport.Listener, name string) *transport.Delivery {
	f.Helper()
	d := f.next(l)
	if d.Message.Event == nil || d.Message.Event.Type != name {
		f.Fatalf("%s: got %+v, want event %s", l.Addr(), d.Message.Event, name)
	}
	return d
}

func notificationReachesOneListener(f *fixture) {
	client := f.open()
	first, err := f.open().Listen(f.patient(), f.notified("info", ""), transport.ListenOptions{})
	if !f.supports("listen for notifications", err) {
		if err := client.Send(f.patient(), f.notified("info", ""), event("e")); !errors.Is(err, errors.ErrUnsupported) {
			f.Errorf("send a notification: %v, want ErrUnsupported as from Listen", err)
		}
		return
	}
	second := f.listen(f.open(), f.notified("info", ""), 1)
	errs := f.listen(f.open(), f.notified("error", ""), 0)
	for range 10 {
		f.send(client, f.notified("info", ""), event("info"))
		f.send(client, f.notified("error", ""), event("error"))
	}
	if got := f.gather(20, first, second, errs); len(got[2]) != 10 {
		f.Errorf("the listener for errors got %d notifications, want the 10 errors", len(got[2]))
	}
	f.send(client, f.notified("error", ""), event("last"))
	if d := f.told(errs, "last"); d.To != f.notified("error", "") || d.Redelivered {
		f.Errorf("addressed to %+v (redelivered: %t), want %+v for the first time", d.To, d.Redelivered, f.notified("error", ""))
	}
	for range 10 {
		f.send(client, f.notified("error", ""), event("error"))
		f.told(errs, "error")
	}
}

func notificationWaitsForItsListener(f *fixture) {
	client := f.open()
	if f.lacks(KeepsNotifications) {
		f.unheard(client)
		server := f.open()
		f.listen(server, f.notified("error", ""), 0)
		f.unheard(client)
		l := f.listen(server, f.notified("info", ""), 0)
		f.send(client, f.notified("info", ""), event("heard"))
		f.told(l, "heard")
		f.close(server)
		f.unheard(client)
		return
	}
	f.send(client, f.notified("info", ""), event("early"))
	first := f.open()
	l := f.listen(first, f.notified("info", ""), 0)
	f.told(l, "early")
	f.close(l)
	f.close(first)
	f.send(client, f.notified("info", ""), event("late"))
	again := f.listen(f.open(), f.notified("info", ""), 0)
	f.told(again, "late")
	f.silent(again)
}

// unheard sends a notification that nobody listens for, and which is not kept.
func (f *fixture) unheard(client transport.Transport) {
	f.Helper()
	if err := client.Send(f.patient(), f.notified("info", ""), event("unheard")); !errors.Is(err, transport.ErrNoListener) {
		f.Errorf("send a notification to nobody: %v, want ErrNoListener", err)
	}
}

func notificationPools(f *fixture) {
	client := f.open()
	a, b := f.pool("a"), f.pool("b")
	one, err := f.open().Listen(f.patient(), f.notified("info", a), transport.ListenOptions{Prefetch: 1})
	if !f.supports("listen in a pool", err) {
		return
	}
	two := f.listen(f.open(), f.notified("info", a), 1)
	alone := f.listen(f.open(), f.notified("info", b), 0)
	common := f.listen(f.open(), f.notified("info", ""), 0)
	f.send(client, f.notified("info", ""), event("after"))
	f.send(client, f.notified("info", ""), event("after"))
	if f.lacks(Sharing) {
		f.gather(2, one, two)
	} else {
		d, e := f.toldUnsettled(one, "after"), f.toldUnsettled(two, "after") // each has room for one
		f.ack(d)
		f.ack(e)
	}
	for _, l := range []transport.Listener{alone, common} {
		f.told(l, "after")
		if d := f.told(l, "after"); d.To != f.notified("info", "") {
			f.Errorf("addressed to %+v, want %+v", d.To, f.notified("info", ""))
		}
	}
	for _, l := range []transport.Listener{one, two, alone, common} {
		f.silent(l)
	}
}

func notificationPoolsWait(f *fixture) {
	client := f.open()
	f.send(client, f.notified("info", ""), event("before"))
	l := f.listen(f.open(), f.notified("info", f.pool("p")), 0)
	f.send(client, f.notified("info", ""), event("after"))
	f.told(l, "after")
	f.silent(l)
	common := f.listen(f.open(), f.notified("info", ""), 0)
	f.told(common, "before")
	f.told(common, "after")
	f.silent(common)
	f.close(l)
	f.send(client, f.notified("info", ""), event("kept"))
	f.told(f.listen(f.open(), f.notified("info", f.pool("p")), 0), "kept")
	f.told(common, "kept")
}

func notificationTemporaryPool(f *fixture) {
	client, pool := f.open(), f.pool("t")
	o := transport.ListenOptions{Temporary: true}
	var common transport.Listener
	if f.lacks(KeepsNotifications) { // somebody has to listen from the beginning
		common = f.listen(f.open(), f.notified("info", ""), 0)
		f.listen(f.open(), f.notified("error", ""), 0)
	}
	if !f.supports("send a notification", client.Send(f.patient(), f.notified("info", ""), event("before"))) {
		return
	}
	ours := f.open()
	one, err := ours.Listen(f.patient(), f.notified("info", pool), o)
	if !f.supports("listen in a temporary pool", err) {
		return
	}
	other, err := ours.Listen(f.patient(), f.notified("error", pool), o)
	if err != nil {
		f.Fatalf("listen for another priority in the same temporary pool: %v", err)
	}
	f.send(client, f.notified("info", ""), event("info"))
	f.send(client, f.notified("error", ""), event("error"))
	f.same("what the pool got", slices.Concat(f.gather(2, one, other)...), []string{"error", "info"})
	f.close(one)
	f.send(client, f.notified("error", ""), event("later"))
	f.told(other, "later")
	f.close(other)
	f.send(client, f.notified("info", ""), event("missed"))
	f.send(client, f.notified("error", ""), event("missed"))
	again, err := f.open().Listen(f.patient(), f.notified("info", pool), o)
	if err != nil {
		f.Fatalf("listen in the temporary pool again: %v", err)
	}
	f.send(client, f.notified("info", ""), event("heard"))
	f.told(again, "heard")
	if common == nil {
		common = f.listen(f.open(), f.notified("info", ""), 0)
	}
	for _, name := range []string{"before", "info", "missed", "heard"} {
		f.told(common, name)
	}
	f.silent(again)
	for _, from := range []transport.Address{f.notified("info", ""), f.to("one")} {
		if l, err := client.Listen(f.patient(), from, o); err == nil {
			f.close(l)
			f.Errorf("listen at %s with a temporary pool: no error", from)
		}
	}
}

func notificationSurvives(f *fixture) {
	client, l := f.open(), f.listen(f.open(), f.notified("info", ""), 0)
	full := event("compute.instance.create.end")
	full.Context = json.RawMessage(`{"user":"u","roles":["r"]}`)
	full.Headers = map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	full.Event.Payload = json.RawMessage(`{"text":"ü 日本語 😀 \" \\","nan":NaN,"big":12345678901234567890123,"_context_a":1,"oslo.version":"2.0"}`)
	bare := *full
	bare.UniqueID = newID()
	bare.Event = &transport.Event{Bare: true, ID: "i", Publisher: "p", Type: "t", Priority: "AUDIT", Payload: json.RawMessage(`[null,"x"]`), Timestamp: "2026-05-04 10:11:12"}
	for what, m := range map[string]*transport.Message{
		"a full notification": full,
		"one in format 1.0":   &bare,
		"a value for payload": {UniqueID: newID(), Event: &transport.Event{ID: "i", Type: "t", Priority: "INFO", Payload: json.RawMessage(`"text"`)}},
		"an empty one":        {UniqueID: newID(), Event: &transport.Event{}},
		"one of 100 kB":       {UniqueID: newID(), Event: &transport.Event{Type: "t", Payload: json.RawMessage(`"` + strings.Repeat("0123456789", 10_000) + `"`)}},
	} {
		f.send(client, f.notified("info", ""), m)
		f.sameMessage(what, f.take(l).Message, *m)
	}
	tooMany := event("refused")
	tooMany.Headers = map[string]string{"Upper": "x"}
	if err := client.Send(f.patient(), f.notified("info", ""), tooMany); !errors.Is(err, transport.ErrRejected) {
		f.Errorf("send of a notification with a wrong header: %v, want ErrRejected", err)
	}
}

func notificationIsTheReceivers(f *fixture) {
	client := f.open()
	one, two := f.listen(client, f.notified("info", ""), 0), f.listen(client, f.notified("info", f.pool("p")), 0)
	m := event("shared")
	m.Headers = map[string]string{"a": "b"}
	sent, said := *m, *m.Event
	sent.Headers, sent.Event = maps.Clone(m.Headers), &said
	f.send(client, f.notified("info", ""), m)
	m.Event.Type = "spoilt by the sender"
	got := f.take(one).Message
	got.Event.Type = "spoilt by a receiver"
	clear(got.Headers)
	f.sameMessage("what the other pool got", f.take(two).Message, sent)
}

func notificationRequeue(f *fixture) {
	l := f.listen(f.open(), f.notified("info", ""), 0)
	m := event("again")
	f.send(f.open(), f.notified("info", ""), m)
	f.toldAgain(l, m)
}

func notificationRequeueInPool(f *fixture) {
	l, common := f.listen(f.open(), f.notified("info", f.pool("p")), 0), f.listen(f.open(), f.notified("info", ""), 0)
	m := event("again")
	f.send(f.open(), f.notified("info", ""), m)
	f.told(common, "again")
	f.toldAgain(l, m)
	f.silent(common)
}

// toldAgain gives the next notification back twice.
func (f *fixture) toldAgain(l transport.Listener, m *transport.Message) {
	f.Helper()
	for range 2 {
		d := f.toldUnsettled(l, "again")
		d.Message.Event.Type = "spoilt"
		if err := d.Requeue(f.patient()); err != nil {
			f.Fatalf("requeue: %v", err)
		}
	}
	d := f.told(l, "again")
	f.sameMessage("the requeued notification", d.Message, *m)
	if !d.Redelivered {
		f.Errorf("a requeued notification is not marked as redelivered")
	}
	f.silent(l)
}

func notificationSettledLate(f *fixture) {
	first, client := f.open(), f.open()
	l := f.listen(first, f.notified("info", ""), 0)
	for _, name := range []string{"done", "held", "untaken"} {
		f.send(client, f.notified("info", ""), event(name))
	}
	f.told(l, "done")
	f.toldUnsettled(l, "held")
	f.close(first)
	again := f.listen(f.open(), f.notified("info", ""), 0)
	var got []string
	for range 2 {
		d := f.take(again)
		got = append(got, d.Message.Event.Type)
		if d.Message.Event.Type == "held" && !d.Redelivered {
			f.Errorf("what was handed over before is not marked as redelivered")
		}
	}
	f.same("what came back", got, []string{"held", "untaken"})
	f.silent(again)
}

func notificationPrefetch(f *fixture) {
	const batch = 100
	client, l := f.open(), f.listen(f.open(), f.notified("info", ""), batch)
	for range batch + 1 {
		f.send(client, f.notified("info", ""), event("e"))
	}
	var held []*transport.Delivery
	for range batch {
		held = append(held, f.toldUnsettled(l, "e"))
	}
	f.silent(l)
	for _, d := range held {
		f.ack(d)
	}
	f.told(l, "e")
	f.silent(l)
}

func notificationInOrder(f *fixture) {
	client, l := f.open(), f.listen(f.open(), f.notified("info", ""), 0)
	sent := methods("e", 60)
	for _, name := range sent {
		f.send(client, f.notified("info", ""), event(name))
	}
	var got []string
	for range sent {
		got = append(got, f.take(l).Message.Event.Type)
	}
	if !slices.Equal(got, sent) {
		f.Errorf("got %q, want %q", got, sent)
	}
}

func notificationAmiss(f *fixture) {
	client := f.open()
	if !f.lacks(Requests) {
		f.listen(client, f.to("one"), 0)
	}
	for what, c := range map[string]struct {
		to transport.Address
		m  *transport.Message
	}{
		"a request as a notification":    {f.notified("info", ""), cast("x")},
		"a notification to a topic":      {f.to(""), event("e")},
		"a notification to every server": {f.fanout(), event("e")},
		"a notification to no topic":     {transport.Address{Kind: transport.Notification}, event("e")},
	} {
		if err := client.Send(f.patient(), c.to, c.m); !errors.Is(err, transport.ErrRejected) {
			f.Errorf("%s: %v, want ErrRejected", what, err)
		}
	}
	if l, err := client.Listen(f.patient(), transport.Address{Kind: transport.Notification}, transport.ListenOptions{}); err == nil {
		f.close(l)
		f.Errorf("listen for notifications of no topic: no error")
	}
}

package transporttest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/goslo/goslo/transport"
)

func leaving() []Case {
	return []Case{
		{Name: "Leave", Why: "a listener that has left its topic gets nothing of it any more, and still what is sent to the server itself and to all", needs: Leave, run: leave},
		{Name: "LeaveGivesBack", Why: "what a listener had been handed of its topic, and had not returned from Next, goes to another when it leaves", needs: Leave, run: leaveGivesBack},
		{Name: "LeaveKeepsWhatIsTaken", Why: "what Next has returned before its listener left the topic is settled, and replied to, as before", needs: Leave, run: leaveKeepsWhatIsTaken},
	}
}

// leaves has a listener leave its topic, and tells whether it could.
func (f *fixture) leaves(l transport.Listener) bool {
	f.Helper()
	err := fmt.Errorf("the listener is no Leaver: %w", errors.ErrUnsupported)
	if leaver, ok := l.(transport.Leaver); ok {
		err = leaver.Leave(f.patient())
	}
	return f.supports("leave", err)
}

func leave(f *fixture) {
	one, client := f.server("one"), f.open()
	if !f.leaves(one) {
		return
	}
	f.leaves(one) // again, which changes nothing
	keeps := f.config.Lacks&Keeps == 0
	if keeps {
		f.send(client, f.to(""), cast("waits"))
		f.silent(one)
	}
	two := f.server("two")
	if keeps {
		f.expect(two, "waits")
	}
	answers := f.replies(client)
	for n := range 6 {
		f.send(client, f.to(""), cast("cast"))
		f.expect(two, "cast")
		f.send(client, f.to(""), call("call", answers.Addr()))
		f.expect(two, "call")
		if n == 0 { // what one had asked for before it left
			f.silent(one)
		}
	}
	f.send(client, f.to("one"), cast("cast"))
	f.expect(one, "cast")
	f.send(client, f.to("one"), call("call", answers.Addr()))
	f.expect(one, "call")
	f.send(client, f.fanout(), cast("all"))
	f.expect(one, "all")
	f.expect(two, "all")
	f.silent(one)
	f.close(one)
	f.leaves(one)
}

func leaveGivesBack(f *fixture) {
	one, client := f.listen(f.open(), f.to("one"), 10), f.open()
	answers := f.replies(client)
	sent := methods("m", 8)
	for i, m := range sent {
		if i%2 == 0 {
			f.send(client, f.to(""), cast(m))
		} else {
			f.send(client, f.to(""), call(m, answers.Addr()))
		}
	}
	f.send(client, f.to("one"), cast("own cast"))
	f.send(client, f.to("one"), call("own call", answers.Addr()))
	f.send(client, f.fanout(), cast("all"))
	f.silent(answers) // time for a bus that hands over ahead of Next
	two := f.server("two")
	if !f.leaves(one) {
		return
	}
	f.same("the other server", f.gather(len(sent), two)[0], sent)
	f.same("the one that left", f.gather(3, one)[0], []string{"own cast", "own call", "all"})
}

func leaveKeepsWhatIsTaken(f *fixture) {
	bus, client := f.open(), f.open()
	one, answers := f.listen(bus, f.to("one"), 0), f.replies(client)
	f.send(client, f.to(""), cast("cast"))
	f.send(client, f.to(""), call("call", answers.Addr()))
	held := []*transport.Delivery{f.next(one), f.next(one)}
	if !f.leaves(one) {
		return
	}
	two := f.server("two")
	slices.SortFunc(held, func(a, b *transport.Delivery) int { return len(a.Message.ReplyTo) - len(b.Message.ReplyTo) })
	for _, d := range held {
		f.ack(d)
	}
	f.send(bus, replyTo(held[1].Message.ReplyTo), reply(held[1].Message.ID, "1"))
	if d := f.take(answers); d.Message.ID != held[1].Message.ID {
		f.Errorf("got a reply to %q, want to %q", d.Message.ID, held[1].Message.ID)
	}
	f.close(one)
	f.close(bus)
	f.silent(two)
}

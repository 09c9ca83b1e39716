//go:build zmq

package zmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/goslo/goslo/transport"
)

// Notifications have an exchange of their own beside each exchange, so that nobody takes them for requests. A topic's pools are its
// servers there; those who listen without a pool are one more.
const (
	notifiedMark = "\x00notifications"
	poolPrefix   = "pool:"
)

// serviceAt is what is served at an address.
func (c *Conn) serviceAt(a transport.Address) service {
	s := service{cmp.Or(a.Exchange, c.cfg.exchange), a.Topic, a.Server}
	switch a.Kind {
	case transport.Notification:
		s.Exchange += notifiedMark
		s.Server = poolPrefix + a.Pool
	case transport.Fanout:
		s.Server = ""
	case transport.Topic, transport.Reply:
	}
	return s
}

// errNobodyHears: there is no broker that would keep a notification.
var errNobodyHears = fmt.Errorf("%w for notifications, which ZeroMQ does not keep; start a listener first, or send them over a bus that keeps them (transport_url in [oslo_messaging_notifications])", transport.ErrNoListener)

// notify gives a notification to one listener of each pool. What one pool does not get the others get nevertheless.
func (c *Conn) notify(ctx context.Context, e envelope, m *transport.Message) error {
	body, err := appendMessage(nil, m, &c.peers.checker, "")
	if err != nil {
		return fmt.Errorf("%w: %w", transport.ErrRejected, err)
	}
	pools, err := c.pools(ctx, e.service)
	if err != nil {
		return err
	}
	outcomes := make(chan error, len(pools))
	for _, pool := range pools {
		one := e
		one.service.Server = pool
		go func() { // awaited below
			outcomes <- wrap(c.toOne(ctx, one, append(appendRequest(nil, &one), body...), anybody{}), pool)
		}()
	}
	heard := false
	var errs []error
	for range pools {
		switch err := <-outcomes; {
		case err == nil:
			heard = true
		case !errors.Is(err, transport.ErrNoListener): // else its last listener has gone
			errs = append(errs, err)
		}
	}
	if !heard && len(errs) == 0 {
		return errNobodyHears
	}
	return errors.Join(errs...)
}

// pools returns the pools of a topic, each once, by the names that they have as servers.
func (c *Conn) pools(ctx context.Context, of service) ([]string, error) {
	list, err := c.peers.candidates(ctx, of, true)
	if err != nil {
		return nil, err
	}
	patience, cancel := context.WithTimeout(ctx, fanoutTime)
	defer cancel()
	var pools []string
	answers, asked := make(chan []string, len(list)), 0
	for i := range list {
		if !list[i].Unasked {
			pools = append(pools, list[i].Servers...)
			continue
		}
		k := list[i].link
		asked++
		go func() { answers <- c.poolsOf(patience, k, of) }() // awaited below
	}
	for range asked {
		pools = append(pools, <-answers...)
	}
	slices.Sort(pools)
	return slices.Compact(pools), nil
}

// poolsOf asks a member of whom the directory does not tell. Of one that does not answer it is what the member told last.
func (c *Conn) poolsOf(ctx context.Context, k *link, of service) (pools []string) {
	e := envelope{to: toPools, service: of}
	if o := c.ask(ctx, k, appendRequest(nil, &e), 0, e.expires(), waitFor(k, false)); o.code == answerTaken {
		r := newReader([]byte(o.reason))
		for len(r.rest) > 0 && r.ok {
			pools = append(pools, r.text())
		}
		return pools
	}
	if told := k.services.Load(); told != nil {
		for _, o := range *told {
			if o.Exchange == of.Exchange && o.Topic == of.Topic {
				pools = append(pools, o.Server)
			}
		}
	}
	return pools
}

// tellPools answers poolsOf. It runs on the loop.
func (c *Conn) tellPools(to *session, e *envelope) {
	var pools []byte
	for _, l := range c.listeners.of(topicName{e.service.Exchange, e.service.Topic}) {
		pools = appendText(pools, l.service.Server)
	}
	c.loop.inbox.put(func(w *work) {
		w.answers = append(w.answers, answer{to: to, id: e.id, code: answerTaken, reason: string(pools)})
	})
}

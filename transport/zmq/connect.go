//go:build zmq

package zmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	zmq4 "github.com/pebbe/zmq4"
)

// Times of connections.
const (
	reconnectFirst = 100 * time.Millisecond
	reconnectMost  = 2 * time.Second
	probeTime      = 2 * time.Second
	helloTime      = time.Second            // for which a hello may go unanswered until it is said again
	dialTime       = 250 * time.Millisecond // for which a request waits for a new connection when others may have one
	downTime       = time.Second            // for which it waits for one that is down, as all are
	lostTime       = 5 * time.Minute        // after which a server is given up that does not answer, and for which nothing waits

	turnedMost = 3 // handshakes that a server ends without a word before it is taken for one that we cannot talk to
)

// open makes the sockets of a new link, and begins to connect.
func (l *loop) open(k *link) {
	k.epoch = rand.Uint64() | 1
	k.inflight = map[uint64]*request{}
	k.wire.lost = time.Now()
	if err := l.connect(k); err != nil {
		l.conn.log.Error("zmq: connect", "to", k.member.Endpoints, "error", err)
		k.refusal = err.Error()
		k.state.Store(linkDead)
		l.conn.peers.forget(k)
		k.release(outcomeShut, k.refusal, everyone)
		return
	}
	l.links[k] = struct{}{}
}

// connect chooses an endpoint and connects to it.
func (l *loop) connect(k *link) (err error) {
	w := &k.wire
	dealer, err := l.context.NewSocket(zmq4.DEALER)
	if err != nil {
		return err
	}
	closeOnError := func(s *zmq4.Socket) {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}
	defer closeOnError(dealer)
	if err = l.conn.cfg.dress(dealer); err != nil {
		return err
	}
	if err = errors.Join(dealer.SetIdentity(l.conn.self.ID+k.suffix()), dealer.SetImmediate(l.conn.cfg.immediate),
		dealer.SetReconnectIvl(reconnectFirst), dealer.SetReconnectIvlMax(reconnectMost)); err != nil {
		return err
	}
	if err = l.conn.cfg.security.client(dealer, k.member.Key); err != nil {
		return err
	}
	l.lastID++
	address := "inproc://monitor-" + strconv.FormatUint(l.lastID, 10)
	events := zmq4.EVENT_HANDSHAKE_SUCCEEDED | zmq4.EVENT_DISCONNECTED | zmq4.EVENT_CONNECT_RETRIED | zmq4.EVENT_HANDSHAKE_FAILED_AUTH |
		zmq4.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq4.EVENT_HANDSHAKE_FAILED_NO_DETAIL
	if err = dealer.Monitor(address, events); err != nil {
		return err
	}
	monitor, err := l.context.NewSocket(zmq4.PAIR)
	if err != nil {
		return err
	}
	defer closeOnError(monitor)
	defer func() {
		if err != nil {
			err = errors.Join(err, unmonitor(dealer))
		}
	}()
	if err = errors.Join(monitor.SetLinger(0), monitor.Connect(address)); err != nil {
		return err
	}
	reach := l.conn.reach(k.member)
	if len(reach) == 0 {
		return fmt.Errorf("no endpoint of %q can be reached from this host", k.member.Endpoints)
	}
	w.endpoint = reach[0]
	if err = dealer.Connect(w.endpoint); err != nil {
		return err
	}
	if w.dealer, err = l.poller.add(dealer, k); err != nil {
		return err
	}
	if w.monitor, err = l.poller.add(monitor, k); err != nil {
		return errors.Join(err, l.poller.remove(w.dealer))
	}
	l.heat(w.dealer)
	l.heat(w.monitor)
	return nil
}

// happened takes an event of a link's connection.
func (l *loop) happened(k *link, event zmq4.Event, value int) {
	switch event {
	case zmq4.EVENT_HANDSHAKE_SUCCEEDED:
		k.turned = 0
		k.wire.connected = true
		l.hello(k)
	case zmq4.EVENT_DISCONNECTED:
		k.wire.connected = false
		k.lose()
		if k.state.CompareAndSwap(linkUp, linkDown) {
			l.conn.log.Warn("zmq: connection lost", "server", k.server, "endpoint", k.wire.endpoint)
			k.release(outcomeMoved, "", func(r *request) bool { return !r.waiting.stay })
		}
		l.probe(k)
	case zmq4.EVENT_CONNECT_RETRIED:
		l.probe(k)
	case zmq4.EVENT_HANDSHAKE_FAILED_NO_DETAIL: // which is also what a server looks like that ends at this moment
		if k.turned++; k.turned >= turnedMost && k.server == "" && l.conn.self.Key != "" {
			l.shut(k, handshakeReason(event, value))
		}
	case zmq4.EVENT_HANDSHAKE_FAILED_AUTH, zmq4.EVENT_HANDSHAKE_FAILED_PROTOCOL: // libzmq does not try again
		l.shut(k, handshakeReason(event, value))
	default:
	}
}

// hello begins a connection.
func (l *loop) hello(k *link) {
	k.lose()
	k.wire.blocked, k.wire.hailed = false, time.Now()
	frame := appendText(appendHeader(nil, header{kind: kindHello, ack: k.stream.in, number: k.epoch}), l.conn.home)
	if err := l.send(k, frame); err != nil {
		l.conn.log.Debug("zmq: say hello", "endpoint", k.wire.endpoint, "error", err)
	}
}

// welcomed goes on where the last connection broke, if the server still knows where that was.
func (l *loop) welcomed(k *link, h header, r *reader) {
	id := r.text()
	leaving, list, ok := parseServices(r)
	if !ok {
		l.conn.log.Error("zmq: a server's welcome cannot be read", "endpoint", k.wire.endpoint)
		return
	}
	switch {
	case k.member.ID != "" && k.member.ID != id:
		l.dead(k, fmt.Sprintf("its place at %s was taken by another", k.wire.endpoint))
		return
	case h.number == 1 && k.server == id:
		l.conn.meter.reconnects.Add(1)
		l.conn.meter.resent.Add(k.stream.resume(h.ack))
		k.refresh()
	case k.server == "" && l.twin(k, id):
		return
	default: // the first time, or another process has taken the place, or our connection was away for too long
		if k.server != "" && k.server != id {
			l.conn.peers.forgetTwins(k)
		}
		k.doubt("the server has ended, or forgotten the connection")
		k.stream.restart(false)
	}
	k.server = id
	k.state.Store(linkUp)
	l.conn.log.Debug("zmq: connected", "server", id, "endpoint", k.wire.endpoint)
	l.services(k, leaving, list)
}

// twin says whether a new link leads to a server of the list, or to ourselves, that another one leads to: a list may have several
// names for one process. The new one is given up then, and the other one used for both.
func (l *loop) twin(k *link, server string) bool {
	for other := range l.links {
		if other == k || other.server != server || !other.stream.up || k.member.ID != "" || other.member.ID != "" && server != l.conn.self.ID {
			continue
		}
		l.conn.log.Info("zmq: two endpoints are one server", "server", server, "endpoint", k.wire.endpoint, "other", other.wire.endpoint)
		l.drop(k, outcomeDead, "it is another one")
		l.conn.peers.join(k, other)
		return true
	}
	return false
}

// services takes what a server says that it serves.
func (l *loop) services(k *link, leaving bool, list []offer) {
	k.services.Store(&list)
	if !leaving {
		return
	}
	k.state.Store(linkLeaving)
	l.conn.peers.forget(k)
	k.release(outcomeDead, "", everyone)
	frame := appendRecord(k.stream.frame(), recordLeave)
	k.stream.add(frame)
}

// dead ends a link whose server has ended.
func (l *loop) dead(k *link, reason string) {
	level := slog.LevelInfo
	if k.server == "" { // it never was there
		level = slog.LevelDebug
	}
	l.conn.log.Log(l.conn.life, level, "zmq: server has ended", "server", k.server, "endpoint", k.wire.endpoint, "why", reason)
	l.conn.peers.forget(k)
	l.conn.directory.gone(k.member)
	l.drop(k, outcomeDead, "the server has ended: "+reason)
}

// shut ends a link to a server that does not accept us, or we it. Whoever has something for it makes a new one, since keys may change.
func (l *loop) shut(k *link, reason string) {
	l.conn.log.Error("zmq: no connection to a server", "server", k.member.ID, "endpoint", k.wire.endpoint, "why", reason)
	k.refusal = reason
	l.conn.peers.forget(k)
	l.drop(k, outcomeShut, reason)
}

// drop closes a link's sockets. Requests that did not leave have the outcome given.
func (l *loop) drop(k *link, code byte, reason string) {
	k.state.Store(linkDead)
	k.stream.up = false
	k.release(code, reason, everyone)
	k.doubt(reason)
	delete(l.links, k)
	monitor, dealer := k.wire.monitor, k.wire.dealer
	if err := errors.Join(l.poller.remove(monitor), l.poller.remove(dealer), unmonitor(dealer.socket), monitor.socket.Close(), dealer.socket.Close()); err != nil {
		l.conn.log.Error("zmq: close a connection", "endpoint", k.wire.endpoint, "error", err)
	}
}

// unmonitor ends the monitor of a socket, before it is closed: libzmq's thread waits for ever to tell one that is not there, and no
// connection of the context is served meanwhile.
func unmonitor(s *zmq4.Socket) error { return s.Monitor("", 0) }

// probe finds out whether a server that does not answer still lives. What refuses connections at all of its endpoints does
// not; anything else may be on its way back.
func (l *loop) probe(k *link) {
	if k.probing || !l.leaving.IsZero() { // Close waits for those that there are
		return
	}
	k.probing = true
	endpoints := l.conn.reach(k.member)
	l.conn.background.Go(func() {
		refused := l.conn.refused(endpoints)
		l.inbox.order(func() {
			k.probing = false
			if _, open := l.links[k]; open && refused && !k.stream.up {
				l.dead(k, "connections are refused")
			}
		})
	})
}

// refused says whether all endpoints refuse connections.
func (c *Conn) refused(endpoints []string) bool {
	for _, e := range endpoints {
		network, address, _ := strings.Cut(e, "://")
		if network == "ipc" {
			network = "unix"
		}
		ctx, cancel := context.WithTimeout(c.life, probeTime)
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		cancel()
		if err == nil {
			_ = conn.Close()
			return false
		}
		if !errors.Is(err, syscall.ECONNREFUSED) && (network != "unix" || !errors.Is(err, syscall.ENOENT)) {
			return false
		}
	}
	return true
}

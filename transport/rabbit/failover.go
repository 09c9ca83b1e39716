package rabbit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// knock is how long a host that nobody answers at is left alone at most. It costs the broker nothing, so no back-off applies.
	knock = 500 * time.Millisecond
	// headStart is how long the next host waits for the one before it to answer.
	headStart = 500 * time.Millisecond
	// remind is how often a host that cannot be connected to for the same reason is logged again.
	remind = time.Minute
)

// backoff is how long to wait between attempts to connect.
type backoff struct {
	delay, splay      time.Duration // before the first attempt: at random up to delay (kombu_reconnect_delay), and up to splay on top
	first, step, most time.Duration // between attempts at a host that refuses us: first, first+step ... most (RMQ-CONN-11)
	shuffle           bool          // hosts at random instead of in order (kombu_failover_strategy)
}

// before is the pause between losing a connection and the first attempt at another (RMQ-CONN-12, and a real RMQ-CONN-13).
func (b backoff) before() time.Duration { return jitter(b.delay) + jitter(b.splay) }

// A host is one of the brokers that a link may connect to.
type host struct {
	endpoint
	due    time.Time     // not to be tried before
	pause  time.Duration // after its next refusal
	busy   bool          // being tried
	told   string        // the last failure that was logged
	toldAt time.Time
}

// hosts are those of one link, in the order in which they are tried. They belong to whoever runs the link's pursue.
type hosts struct {
	list    []*host
	backoff backoff
}

// newHosts shuffles: not every process of a cloud shall begin with the same broker (RMQ-CONN-10).
func newHosts(all []endpoint, b backoff) hosts {
	h := hosts{backoff: b}
	for _, e := range all {
		h.list = append(h.list, &host{endpoint: e, pause: b.first})
	}
	h.mix()
	return h
}

func (h *hosts) mix() {
	rand.Shuffle(len(h.list), func(i, j int) { h.list[i], h.list[j] = h.list[j], h.list[i] })
}

// lost makes the host of a connection that ended the last to be tried.
func (h *hosts) lost(addr string) {
	if h.backoff.shuffle {
		h.mix()
		return
	}
	for i, e := range h.list {
		if e.addr == addr {
			h.list = append(h.list[i+1:len(h.list):len(h.list)], h.list[:i+1]...)
			return
		}
	}
}

// next returns the host to try now, or nil and how long it is until there is one.
func (h *hosts) next() (*host, time.Duration) {
	wait := time.Hour
	for _, e := range h.list {
		left := time.Until(e.due)
		switch {
		case e.busy:
		case left <= 0:
			return e, 0
		default:
			wait = min(wait, left)
		}
	}
	return nil, wait
}

// failed says when to try e again: ever later where the broker refuses us, within half a second where nobody answers.
func (h *hosts) failed(e *host, err error) {
	pause := knock
	if no := (*refusal)(nil); errors.As(err, &no) {
		pause = e.pause
		e.pause = min(e.pause+h.backoff.step, h.backoff.most)
	} else {
		e.pause = h.backoff.first
	}
	e.due = time.Now().Add(pause/2 + jitter(pause/2))
}

// A refusal is the answer of a broker that will say the same a moment later: wrong password, no such virtual host, another certificate.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// asRefusal returns explained, as a refusal where err, which it explains, is one. A broker that is on its way up or down says
// other things, or nothing.
func asRefusal(err, explained error) error {
	var answer *amqp.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &answer) && answer.Server && (answer.Code == amqp.AccessRefused || answer.Code == amqp.NotAllowed):
	case errors.As(err, &certificate), errors.As(err, &record):
	case errors.As(err, &op) && op.Op == "remote error": // a TLS alert
	default:
		return explained
	}
	return &refusal{explained}
}

// An attempt at one host has brought a session, or err.
type attempt struct {
	host    *host
	session *session
	err     error
}

// pursue tries the hosts until one of them gives a session, or ctx ends; where once is set, each of them once. A host
// that keeps us waiting does not keep the next from being tried. The error tells what went wrong.
func (l *link) pursue(ctx context.Context, once bool) (*session, error) {
	attempts, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan attempt)
	running := 0
	var began time.Time
	var problems []error
	// end waits for the attempts that are still on.
	end := func() {
		if ctx.Err() == nil { // else they end by themselves, and their errors tell of the deadline
			cancel()
		}
		for ; running > 0; running-- {
			if a := <-results; a.session != nil {
				a.session.discard()
			} else {
				problems = append(problems, a.err)
			}
		}
		for _, e := range l.hosts.list {
			e.busy = false
		}
	}
	for ctx.Err() == nil {
		next, wait := l.hosts.next()
		if left := headStart - time.Since(began); running > 0 && left > 0 {
			next, wait = nil, left
		}
		if next != nil {
			next.busy, began = true, time.Now()
			running++
			go func() {
				s, err := l.connect(attempts, next.endpoint)
				results <- attempt{next, s, err}
			}()
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case a := <-results:
			running--
			if a.err == nil {
				a.host.pause, a.host.told = l.hosts.backoff.first, ""
				end()
				return a.session, nil
			}
			l.hosts.failed(a.host, a.err)
			if !once && ctx.Err() == nil {
				a.host.busy = false
				l.complain(a.host, a.err)
				break
			}
			if problems = append(problems, a.err); len(problems) == len(l.hosts.list) {
				end()
				return nil, errors.Join(problems...)
			}
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	end()
	if len(problems) == 0 {
		return nil, fmt.Errorf("connect: %w", ctx.Err())
	}
	return nil, errors.Join(problems...)
}

// complain logs why a host could not be connected to, once per reason.
func (l *link) complain(h *host, err error) {
	if text := err.Error(); text != h.told || time.Since(h.toldAt) > remind {
		h.told, h.toldAt = text, time.Now()
		l.log.Warn("cannot connect, will try on", "connection", l.role, "error", err)
	}
	l.update(func() {
		if l.live == nil {
			l.why = err
		}
	})
}

// A search is a pursue in a goroutine of its own, beside a session that may be lost. It ends with its context.
type search struct {
	cancel context.CancelFunc
	found  chan *session // gets one: nil when the context ended first
}

func (l *link) search(ctx context.Context) *search {
	ctx, cancel := context.WithCancel(ctx)
	f := &search{cancel: cancel, found: make(chan *session, 1)}
	go func() {
		s, _ := l.pursue(ctx, false) // it has logged what went wrong
		f.found <- s
	}()
	return f
}

// giveUp ends the search, and what it may have found.
func (f *search) giveUp() {
	f.cancel()
	if s := <-f.found; s != nil {
		s.discard()
	}
}

package rabbit

import (
	"errors"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// visitedTogether is how many listeners are visited at a time, at the most.
const visitedTogether = 16

// A rota has the listeners of a session visited in turn: looked at, and sent a probe. Those that are due soon are visited together, in one
// go of questions and with one message for all of them, because what a check costs the broker is mostly to be woken. Its goroutine is one of
// the session's. It only finds out what is well: a listener of which it does not, checks itself.
type rota struct {
	mu   sync.Mutex
	due  []*visit
	wake chan struct{} // holds one: a visit is due before all others
}

// A visit to a listener.
type visit struct {
	to     *listener
	at     time.Time     // when it is due; it may be somewhat early
	looks  []look        // what it asks for
	own    string        // the queue that gets a probe; "" = none does
	paid   chan<- *visit // when it has been paid; has room for it
	sound  bool          // all that was asked for is as it should be
	probe  *probe        // that was sent
	follow time.Time     // when the next one is due
}

// A look is at one queue.
type look struct {
	queue    string
	exchange string
	keys     []string // of its bindings, which are made anew; none when there is no exchange
	attended bool     // it must have a consumer
	unasked  bool     // it is bound only: its probe says the rest
}

func newRota() rota { return rota{wake: make(chan struct{}, 1)} }

// add takes a visit in.
func (r *rota) add(v *visit) {
	r.mu.Lock()
	first := !slices.ContainsFunc(r.due, func(o *visit) bool { return !v.at.Before(o.at) })
	r.due = append(r.due, v)
	r.mu.Unlock()
	if first {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// drop takes a visit out, unless it is being paid.
func (r *rota) drop(v *visit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.due, v); i >= 0 {
		r.due = slices.Delete(r.due, i, i+1)
	}
}

// take returns those that are due, with those that will be within a quarter of every, or how long it is until there are any.
func (r *rota) take(now time.Time, every time.Duration) (all []*visit, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.due) == 0 {
		return nil, time.Hour
	}
	slices.SortFunc(r.due, func(a, b *visit) int { return a.at.Compare(b.at) })
	if wait := r.due[0].at.Sub(now); wait > 0 {
		return nil, wait
	}
	n := 1
	for n < min(len(r.due), visitedTogether) && r.due[n].at.Sub(now) < every/4 {
		n++
	}
	all = slices.Clone(r.due[:n])
	r.due = slices.Delete(r.due, 0, n)
	return all, 0
}

// visits is the goroutine of a session's rota.
func (t *Transport) visits(s *session) {
	r, every := &s.rota, t.settings.probes.every
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	v := visitor{session: s}
	if every > 0 && v.open() == nil { // else with the first visit
		s.awake.Store(v.ch.Channel)
	}
	for {
		all, wait := r.take(time.Now(), every)
		if len(all) > 0 {
			v.look(all)
			t.probeAll(all)
			follow := time.Now().Add(about(every))
			for _, v := range all {
				v.follow = follow
				v.paid <- v
			}
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-r.wake:
		case <-s.gone:
			return
		}
	}
}

// A visitor asks on a channel of its own, which the broker closes when something is missing. It waits for the answers as long as the
// session lives: who waits for the visitor does not have to.
type visitor struct {
	session *session
	ch      *channel
	closes  chan *amqp.Error
	answers chan int // consumers
}

// look asks about all of them at once, and notes of which the answers are as they should be.
func (v *visitor) look(all []*visit) {
	asked := 0
	for _, to := range all {
		for _, q := range to.looks {
			if !q.unasked {
				asked++
			}
		}
	}
	v.session.awake.Store(nil) // what is asked may take long
	if asked > 0 && (v.open() != nil || v.ch.look(all) != nil) {
		return
	}
	for _, to := range all {
		sound := true
		for _, q := range to.looks {
			if q.unasked {
				continue
			}
			select {
			case consumers := <-v.answers:
				sound = sound && (consumers > 0 || !q.attended)
			case <-v.closes: //nolint:errcheck // The listener finds out why.
				return
			case <-v.session.gone:
				return
			}
		}
		to.sound = sound
	}
	if v.ch != nil {
		v.session.awake.Store(v.ch.Channel)
	}
}

// open opens the channel where there is none.
func (v *visitor) open() error {
	if v.ch != nil && !v.ch.IsClosed() {
		return nil
	}
	ch, err := v.session.sock.open(v.session.conn, nil)
	if err != nil {
		return err
	}
	answers := make(chan int, visitedTogether*len(intake{}.from))
	ch.looked = func(consumers int) error {
		select {
		case answers <- consumers:
			return nil
		default:
			return errUnasked
		}
	}
	v.ch, v.answers, v.closes = ch, answers, ch.NotifyClose(make(chan *amqp.Error, 1))
	return nil
}

var errUnasked = errors.New("rabbit: the broker answers what it was not asked")

// look asks for what several visits want to know, in one go.
func (c *channel) look(all []*visit) error {
	m := c.mux
	m.mu.Lock()
	var err error
	switch {
	case c.closed:
		err = amqp.ErrClosed
	default:
		err = m.extend(func(pending []byte) []byte {
			for _, v := range all {
				for _, q := range v.looks {
					for _, key := range q.keys {
						pending = appendBind(pending, c.number, q.queue, q.exchange, key)
					}
				}
				for _, q := range v.looks {
					if !q.unasked {
						pending = appendLook(pending, c.number, q.queue)
					}
				}
			}
			return pending
		})
	}
	m.mu.Unlock()
	if err == nil {
		c.mux.push()
	}
	return err
}

// probeAll sends one message to the queues of all who want one, unless the sending connection has a problem, which it tells itself.
func (t *Transport) probeAll(all []*visit) {
	var wanted []*visit
	var queues []string
	for _, v := range all {
		if v.sound && v.own != "" {
			wanted, queues = append(wanted, v), append(queues, v.own)
		}
	}
	if len(wanted) == 0 {
		return
	}
	p := newPosting(&t.counters, queues[0], queues[1:]...)
	for _, v := range wanted {
		v.probe = v.to.expect(p)
	}
	if !t.post(p) {
		for _, v := range wanted {
			v.probe = nil
		}
	}
}

package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// checks are those of one subscription, one at a time. All but making what is missing runs in watch.
//
// A check begins with a visit, when the session's rota has its turn. Where that finds something amiss, or does not come, and where there is
// reason to doubt, the listener looks by itself at each exchange and queue, and makes what is missing. Then it waits for its probe.
type checks struct {
	policy  probePolicy
	timer   *time.Timer
	then    step // what is to be done when it fires
	rota    *rota
	visit   *visit       // that is awaited; nil = none is
	paid    chan *visit  // holds one
	running chan checkup // nil unless the listener looks by itself
	cancel  context.CancelFunc
	hearing
	doubts
	next time.Time // when the next check is due if this one finds nothing wrong; zero = it is not known yet
	good time.Time // when all was known to be well
}

// A step is what is to be done at a time.
type step int

const (
	stepLook  step = iota // the listener looks by itself
	stepHear              // it has waited for its probe: for how long has the broker had that?
	stepJudge             // does it wait in vain?
)

// hearing is a check's waiting for its probe.
type hearing struct {
	back           <-chan struct{} // closed when it has arrived; nil while none is awaited
	before, middle pace
}

// doubts are why and when checks begin.
type doubts struct {
	busy    bool      // a check is going on
	began   time.Time // the last one
	strays  []int     // queues that got messages past their exchange since it began
	because []int     // those of them for which it began
	again   bool      // so did one of these, maybe after it was bound
}

// A checkup is what a check has found.
type checkup struct {
	made  rebuilt
	sound bool  // nothing was missing; whether the listener hears is to be seen
	well  bool  // certain
	err   error // certainly not
	deaf  bool  // err is about the subscription, not about the broker
}

func (l *listener) newChecks(sub *subscription) *checks {
	c := &checks{policy: l.probing.policy, timer: time.NewTimer(time.Hour), rota: &sub.session.rota, good: time.Now()}
	if every := c.policy.every; every > 0 {
		c.next = time.Now().Add(every/4 + jitter(every*3/4)) // all over the interval, however many subscribe at once
	}
	c.schedule(l, sub)
	return c
}

// schedule sets the time for the next check. The one after a first miss is hurried. Where there are none by themselves, those that a message
// has called for go on until all is well.
func (c *checks) schedule(l *listener, sub *subscription) {
	c.unvisit()
	c.timer.Stop()
	every, misses := c.policy.every, l.health.missedSoFar()
	switch {
	case misses == 1 || c.again || len(c.strays) > 0:
		c.at(stepLook, max(0, checkPause-time.Since(c.began)))
	case every > 0:
		if c.next.IsZero() {
			c.next = time.Now().Add(about(every))
		}
		c.await(l.visit(sub, c.next))
	case misses > 0:
		c.at(stepLook, about(checkUnasked))
	}
	c.next = time.Time{}
}

// about is a time of about every, jittered so that what many do spreads.
func about(every time.Duration) time.Duration { return every*3/4 + jitter(every/2) }

func (c *checks) at(then step, in time.Duration) {
	c.then = then
	c.timer.Reset(in)
}

// await waits for a visit. Where the rota cannot pay it, because the broker does not answer, the listener looks by itself, which says so.
func (c *checks) await(v *visit) {
	if c.paid == nil {
		c.paid = make(chan *visit, 1)
	}
	v.paid = c.paid
	c.visit = v
	c.rota.add(v)
	c.at(stepLook, time.Until(v.at)+checkWait)
}

// unvisit awaits no visit any more.
func (c *checks) unvisit() {
	if c.visit == nil {
		return
	}
	c.rota.drop(c.visit)
	c.visit, c.paid = nil, nil // it may be on its way
}

// visit is what the listener wants to know. A queue of its own is not asked about where a probe says more.
func (l *listener) visit(sub *subscription, at time.Time) *visit {
	v := &visit{to: l, at: at}
	for _, q := range l.kept() {
		k := look{queue: q.name, attended: !q.stream, unasked: q.own && sub.probe == nil}
		if x := q.exchange; x != nil {
			k.exchange, k.keys = x.name, bindingKeys(x.kind, l.declarer.kind(*x), q.key)
		}
		if k.unasked {
			v.own = q.name
		}
		v.looks = append(v.looks, k)
	}
	return v
}

// doubt has queue i checked at once.
func (c *checks) doubt(l *listener, sub *subscription, i int) {
	switch {
	case c.busy && slices.Contains(c.because, i):
		c.again = true
	case !slices.Contains(c.strays, i):
		c.strays = append(c.strays, i)
	}
	if !c.busy {
		c.schedule(l, sub)
	}
}

// visited goes on after a visit.
func (c *checks) visited(ctx context.Context, l *listener, sub *subscription, v *visit) error {
	c.visit, c.next = nil, v.follow
	if !v.sound {
		c.look(ctx, l, sub)
		return nil
	}
	c.begin()
	return c.hear(ctx, l, sub, v.probe)
}

func (c *checks) begin() {
	c.timer.Stop()
	c.busy, c.began = true, time.Now()
	c.because, c.strays, c.again = c.strays, nil, false
}

// look has the listener look by itself.
func (c *checks) look(ctx context.Context, l *listener, sub *subscription) {
	c.unvisit()
	c.begin()
	ctx, c.cancel = context.WithCancel(ctx)
	running := make(chan checkup, 1)
	c.running = running
	go func() { running <- l.look(ctx, sub) }()
}

// looked goes on after that.
func (c *checks) looked(ctx context.Context, l *listener, sub *subscription, found checkup) error {
	c.running = nil
	c.cancel()
	if !found.sound {
		return c.finish(ctx, l, sub, found)
	}
	var p *probe
	if own := l.own(); own != "" && sub.probe == nil {
		if p = l.expect(newPosting(l.probing.counts, own)); !l.probing.post(p.posting) {
			p = nil
		}
	}
	return c.hear(ctx, l, sub, p)
}

// hear waits for a probe: that which was sent, or an earlier one. One that does not arrive while nobody waits in Next tells nothing: a
// receiver that is busy is not deaf.
func (c *checks) hear(ctx context.Context, l *listener, sub *subscription, sent *probe) error {
	if sub.probe == nil {
		sub.probe = sent
	}
	switch own := l.own() != ""; {
	case own && sub.probe == nil: // the sending connection has a problem, which it tells itself
		return c.finish(ctx, l, sub, checkup{})
	case own:
		c.back = sub.probe.back
	case !l.position.awaits.Load():
		return c.finish(ctx, l, sub, checkup{well: true})
	}
	c.before = l.pace(sub)
	c.at(stepHear, probeWait-probeSettle)
	return nil
}

// tick does what is to be done when the timer fires.
func (c *checks) tick(ctx context.Context, l *listener, sub *subscription) error {
	switch c.then {
	case stepLook:
		c.look(ctx, l, sub)
	case stepHear:
		if c.back != nil {
			taken := sub.probe.taken.Load()
			if taken == 0 && time.Since(c.began) > checkWait { // as above; the probe may still arrive
				sub.probe = nil
				return c.finish(ctx, l, sub, checkup{})
			}
			if left := probeWait - probeSettle - time.Since(sub.probe.sent.Add(time.Duration(taken))); taken == 0 || left > 0 {
				c.at(stepHear, max(left, probeSettle))
				return nil
			}
		}
		c.middle = l.pace(sub)
		c.at(stepJudge, probeSettle)
	case stepJudge:
		return c.finish(ctx, l, sub, c.judge(l, sub))
	}
	return nil
}

// judge says what it means that nothing came.
func (c *checks) judge(l *listener, sub *subscription) checkup {
	select {
	case <-c.back:
		sub.probe = nil
		return checkup{well: true}
	default:
	}
	switch vain := l.pace(sub).vain(c.before, c.middle); {
	case c.back != nil && vain:
		return checkup{err: fmt.Errorf("a message to its own queue %s did not arrive within %s", l.own(), probeWait), deaf: true}
	case c.back == nil && vain && l.position.awaits.Load():
		l.position.next.Store(0)
		return checkup{err: errors.New("the stream has been made anew, with less in it than was heard"), deaf: true}
	}
	return checkup{}
}

// abort ends the check that is going on. Its findings are out of date.
func (c *checks) abort(l *listener, sub *subscription) {
	c.stop()
	c.schedule(l, sub)
}

// end ends checks for good.
func (c *checks) end() {
	c.stop()
	c.unvisit()
	c.timer.Stop()
}

func (c *checks) stop() {
	if c.running != nil {
		c.cancel()
		<-c.running
		c.running = nil
	}
	if c.busy {
		c.busy, c.back = false, nil
		c.strays = append(c.because, c.strays...)
	}
}

// finish does what a check has found to be necessary. An error means that the subscription is to be made anew.
func (c *checks) finish(ctx context.Context, l *listener, sub *subscription, found checkup) error {
	c.busy, c.back = false, nil
	why, made := errors.New("a check found it missing"), found.made
	if len(c.because) > 0 {
		why = errors.New("a message came straight to the queue: its exchange or binding had been deleted")
		for _, i := range c.because {
			if name := l.queues[i].binding(); !slices.Contains(made.bindings, name) {
				made.bindings = append(made.bindings, name)
			}
		}
	}
	switch {
	case found.err == nil && (!made.none() || len(made.unattended) > 0):
		l.probing.counts.deaf.Add(1)
		sub.probe = nil // it may have been in a queue that was deleted
		consumers := 0
		for i, q := range l.queues {
			if slices.Contains(made.queues, q.name) || slices.Contains(made.unattended, q.name) {
				if err := l.replace(sub, i); err != nil {
					return err
				}
				consumers++
			}
		}
		l.health.missed(c.began, why)
		l.tell(ctx, slog.LevelWarn, sub, made, consumers, why, time.Since(c.good))
	case found.err != nil:
		l.health.missed(c.began, found.err)
		if found.deaf {
			l.probing.counts.deaf.Add(1)
			return fmt.Errorf("%w; all was well %s ago", found.err, time.Since(c.good).Round(time.Millisecond))
		}
	case found.well:
		l.health.heard()
		c.good = time.Now()
	}
	c.schedule(l, sub)
	return nil
}

// look finds out whether all is there that the listener lives from, and makes what is not.
func (l *listener) look(ctx context.Context, sub *subscription) checkup {
	limited, cancel := context.WithTimeout(ctx, checkWait)
	defer cancel()
	made, err := l.declare(limited, sub.session, true)
	switch {
	case ctx.Err() != nil || sub.session.conn.IsClosed(): // whoever ended it knows more
		return checkup{made: made}
	case limited.Err() != nil:
		return checkup{err: fmt.Errorf("the broker did not answer for %s", checkWait)}
	case err != nil:
		return checkup{made: made, err: err, deaf: true}
	case !made.none() || len(made.unattended) > 0:
		return checkup{made: made}
	}
	return checkup{sound: true}
}

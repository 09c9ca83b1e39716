package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/rpc"
)

// A Runner is a part of a program. Run works until ctx ends and then returns nil, as soon as what it has begun has ended. A Runner that
// returns nil before is done, and the others go on; an error stops them all.
//
// A Runner may have further methods. What fmt prints of it (String) is its name.
//
//	Listen(ctx context.Context) error   called before Run, and before the next runner is started
//	Leave(ctx context.Context) error    called when the service stops, before any runner is: others are to do what they can do as well
//	Ready() error                       for /readyz: nil, or why it cannot do its work now; it does no I/O
//	Running() []rpc.RunningRequest      for /debug/requests
//	Abort()                             called when the end is forced: what Run waits for is to be given up
//	Up() <-chan struct{}                closed when the next runner may be started; without it, when Run has been called
//	Service() *Service                  what it runs, whose parts are told about with those beside it; nil = none yet
type Runner interface {
	Run(ctx context.Context) error
}

type (
	listener interface {
		Listen(ctx context.Context) error
	}
	leaver interface {
		Leave(ctx context.Context) error
	}
	readier interface{ Ready() error }
	worker  interface{ Running() []rpc.RunningRequest }
	aborter interface{ Abort() }
	starter interface{ Up() <-chan struct{} }
	nest    interface{ Service() *Service }
)

// A Phase is how far a Service is.
type Phase string

// The phases, in their order.
const (
	Starting Phase = "starting"
	Running  Phase = "running"
	Draining Phase = "draining" // it stops, and waits for what it has begun
	Stopped  Phase = "stopped"
)

// A Service is runners that are started and stopped together. It runs once. Its methods may be called from any goroutine.
type Service struct {
	log     *slog.Logger
	members []*member
	force   chan struct{} // closed when nothing is waited for any more
	up      chan struct{} // closed when all runners are
	ending  chan struct{} // closed when they are to end

	mu     sync.Mutex
	phase  Phase
	next   string // the runner that is being started
	forced bool
}

// A member is a runner of a service.
type member struct {
	Runner
	name   string
	cancel context.CancelFunc // nil = it was not started
	ended  chan struct{}
	err    error // of Run; read when ended
}

func (m *member) isTask() bool {
	_, ok := m.Runner.(*Task)
	return ok
}

// New returns a service of the runners. Logger hears of their ends; nil means nobody does.
func New(log *slog.Logger, runners ...Runner) *Service {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Service{log: log, phase: Starting, force: make(chan struct{}), up: make(chan struct{}), ending: make(chan struct{})}
	for _, r := range runners {
		s.members = append(s.members, &member{Runner: r, name: name(r), ended: make(chan struct{})})
	}
	return s
}

// Run starts the runners in their order, and runs them until ctx ends; see [Service.Run].
func Run(ctx context.Context, runners ...Runner) error { return New(nil, runners...).Run(ctx) }

func name(r Runner) string {
	if s, ok := r.(fmt.Stringer); ok {
		return s.String()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", r), "*")
}

// afterForce is how long runners have to return when the end is forced. A server closes its listener for up to 1 s then, and gives its
// handlers 5 s. A service within has as long by itself, and its word of what still runs is waited for a little longer.
const (
	afterForce = 7 * time.Second
	forNested  = time.Second
)

// A ForcedError says which runners had not returned when a forced end did not wait for them any longer.
type ForcedError struct{ Runners []string }

func (e *ForcedError) Error() string {
	if len(e.Runners) == 0 {
		return "service: stopped by force"
	}
	return "service: stopped by force, while these still ran: " + strings.Join(e.Runners, ", ")
}

// Run starts the runners in their order: what Listen of one subscribes to is there before the next is started, and a [Hook] has
// returned. It runs them until ctx ends, or one fails, or all are done. Then its servers leave their topics, and it stops the runners in
// the reverse order, each when the one after it has returned, so that what others build on is there until the end.
//
// The error joins those of the runners, and a *ForcedError after [Service.Force]; nil is a clean end. Runners' contexts carry ctx's values,
// and end one by one.
func (s *Service) Run(ctx context.Context) error {
	failed := make(chan *member, len(s.members))
	up, err := s.start(ctx, failed)
	if up {
		s.enter(Running)
		close(s.up)
		s.log.Info("service is up", "runners", len(s.members))
		s.wait(ctx, failed)
	}
	s.enter(Draining)
	close(s.ending)
	err = errors.Join(err, s.stop(ctx))
	s.enter(Stopped)
	return err
}

func (s *Service) enter(p Phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = p
}

// Phase returns how far the service is. While one within drains, it does.
func (s *Service) Phase() Phase {
	s.mu.Lock()
	phase := s.phase
	s.mu.Unlock()
	if phase != Running {
		return phase
	}
	for m := range s.parts {
		if n, ok := m.Runner.(nest); ok {
			if inner := n.Service(); inner != nil && inner.Phase() == Draining {
				return Draining
			}
		}
	}
	return phase
}

// start tells whether all run. If not, ctx has ended, or one has failed, or cannot be started, which is the error.
func (s *Service) start(ctx context.Context, failed chan *member) (bool, error) {
	for _, m := range s.members {
		if ctx.Err() != nil {
			return false, nil //nolint:nilerr // the end was asked for
		}
		s.mu.Lock()
		s.next = m.name
		s.mu.Unlock()
		if l, ok := m.Runner.(listener); ok {
			if err := l.Listen(ctx); err != nil {
				if ctx.Err() != nil {
					return false, nil //nolint:nilerr // the end was asked for
				}
				return false, fmt.Errorf("service: start %s: %w", m.name, err)
			}
		}
		var own context.Context
		own, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
		go func() {
			defer close(m.ended)
			if m.err = m.Run(own); m.err != nil {
				m.err = fmt.Errorf("service: %s: %w", m.name, m.err)
				failed <- m
			}
		}()
		if up, ok := m.Runner.(starter); ok {
			select {
			case <-up.Up():
			case <-m.ended: // without having been up
				if m.err != nil {
					s.log.Error("service cannot start", "runner", m.name)
					return false, nil //nolint:nilerr // stop returns it
				}
			case m := <-failed:
				s.log.Error("service cannot start", "runner", m.name)
				return false, nil // stop returns the runner's own
			case <-ctx.Done():
				return false, nil
			}
		}
	}
	return true, nil
}

// wait returns when the service is to stop.
func (s *Service) wait(ctx context.Context, failed <-chan *member) {
	all := make(chan struct{})
	quit := make(chan struct{})
	defer func() { close(quit); <-all }()
	go func() {
		defer close(all)
		for _, m := range s.members {
			select {
			case <-m.ended:
			case <-quit:
				return
			}
		}
	}()
	select {
	case <-ctx.Done():
		s.log.Info("service stops")
	case m := <-failed:
		s.log.Error("service stops: a part of it failed", "runner", m.name, "error", m.err) // Run returns it when all has ended, which may be in an hour
	case <-all:
	}
}

// leaveWithin is how long servers may take to leave their topics while what was started after them ends.
const leaveWithin = 5 * time.Second

// leave has all that can do so leave the work to others. The result ends that, and waits for it.
func (s *Service) leave(ctx context.Context) (end func()) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	var leaving sync.WaitGroup
	for _, m := range s.members {
		if l, ok := m.Runner.(leaver); ok && m.cancel != nil {
			leaving.Go(func() {
				if err := l.Leave(ctx); err != nil { // a server says so itself when it is stopped
					s.log.Debug("not left before the stop", "runner", m.name, "error", err)
				}
			})
		}
	}
	return func() { cancel(); leaving.Wait() }
}

// stop ends what was started, the last first.
func (s *Service) stop(ctx context.Context) error {
	defer s.leave(ctx)()
	errs := make([]error, 0, len(s.members))
	for i := len(s.members) - 1; i >= 0; i-- {
		m := s.members[i]
		if m.cancel == nil {
			continue
		}
		m.cancel()
		for j := i - 1; j >= 0 && s.members[j].isTask() && m.isTask(); j-- {
			s.members[j].cancel() // tasks need nothing of each other
		}
		select {
		case <-m.ended:
			errs = append(errs, m.err)
		case <-s.force:
			return errors.Join(append(errs, s.abandon(i))...)
		}
	}
	return errors.Join(errs...)
}

// abandon ends all from the i'th down at once.
func (s *Service) abandon(i int) error {
	within := afterForce
	for j := i; j >= 0; j-- {
		m := s.members[j]
		if m.cancel == nil {
			continue
		}
		if _, ok := m.Runner.(nest); ok {
			within = afterForce + forNested
		}
		if a, ok := m.Runner.(aborter); ok {
			a.Abort()
		}
		m.cancel()
	}
	limit := time.NewTimer(within)
	defer limit.Stop()
	var errs []error
	forced := &ForcedError{}
	over := false
	for j := i; j >= 0; j-- {
		m := s.members[j]
		if m.cancel == nil {
			continue
		}
		if !over {
			select {
			case <-m.ended:
			case <-limit.C:
				over = true
			}
		}
		select {
		case <-m.ended:
			errs = append(errs, m.err)
		default:
			forced.Runners = append(forced.Runners, m.name)
		}
	}
	err := errors.Join(errs...)
	if inner := (*ForcedError)(nil); len(forced.Runners) == 0 && errors.As(err, &inner) {
		return err // a service within has said it
	}
	return errors.Join(err, forced)
}

// Force makes Run, once its ctx has ended, wait for nothing that can be given up: it aborts all runners at once, and returns when they
// have, or after 7 s (8 s where there is a service within).
func (s *Service) Force() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.forced {
		s.forced = true
		close(s.force)
	}
}

// Running returns the requests that the service's servers work on now.
func (s *Service) Running() []rpc.RunningRequest {
	var all []rpc.RunningRequest
	for m := range s.parts {
		if w, ok := m.Runner.(worker); ok {
			all = append(all, w.Running()...)
		}
	}
	return all
}

// parts yields all members, and those of services within.
func (s *Service) parts(yield func(*member) bool) {
	s.walk(yield)
}

func (s *Service) walk(yield func(*member) bool) bool {
	for _, m := range s.members {
		if !yield(m) {
			return false
		}
		if n, ok := m.Runner.(nest); ok {
			if inner := n.Service(); inner != nil && !inner.walk(yield) {
				return false
			}
		}
	}
	return true
}

// Up is closed when all runners are up.
func (s *Service) Up() <-chan struct{} { return s.up }

// startingNow is the runner that is being started.
func (s *Service) startingNow() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// A hook is a function that runs once.
type hook struct {
	name string
	run  func(ctx context.Context) error
	done chan struct{}
}

// Hook returns a Runner that calls f once, after the runners before it are up: nova's init_host, behind a server. The runners after it
// are started, and /startupz says that the service is up, when f has returned nil. Its error ends the service, and so does a panic. The ctx
// ends when the service stops.
func Hook(name string, f func(ctx context.Context) error) Runner {
	return &hook{name, f, make(chan struct{})}
}

func (h *hook) Run(ctx context.Context) error {
	if err := h.contained(ctx); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was stopped
		}
		return err
	}
	close(h.done)
	<-ctx.Done()
	return nil
}

// contained makes an error of a panic, with its stack: servers before the hook have requests to end already.
func (h *hook) contained(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return h.run(ctx)
}

func (h *hook) String() string      { return h.name }
func (h *hook) Up() <-chan struct{} { return h.done }

package service

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"sync"
	"syscall"
)

// Process is what a process owes to the world outside.
type Process struct {
	// Reload is called on SIGHUP, one call at a time, in every phase of the service. It must end with its ctx: Main waits for it.
	// Default: SIGHUP is ignored.
	Reload func(ctx context.Context) error
	// Dump is where SIGQUIT's list of requests and goroutines goes. Default: SIGQUIT is ignored.
	Dump io.Writer
	// Env looks up NOTIFY_SOCKET and WATCHDOG_USEC, by which systemd says what it wants to hear. Default: os.LookupEnv.
	Env func(name string) (value string, ok bool)
}

// Main is Run for a process. It ends the service on SIGTERM and SIGINT, which drains; a second one forces the end, and a third
// kills the process. SIGHUP reloads. SIGQUIT writes what runs, and all goroutines, and the service goes on.
//
// Where systemd is to be told (NOTIFY_SOCKET), it hears READY=1 when all is started, RELOADING=1 and READY=1 around a reload, STOPPING=1,
// and signs of life every half of WATCHDOG_USEC.
func (s *Service) Main(ctx context.Context, p Process) error {
	if p.Env == nil {
		p.Env = os.LookupEnv
	}
	systemd := newNotifier(p.Env, s.log)
	running, stop := context.WithCancel(ctx)
	defer stop()
	outside, quit := context.WithCancel(context.WithoutCancel(ctx))
	var others sync.WaitGroup
	defer others.Wait()
	defer quit()
	// Each kind has its own channel and goroutine: neither many reloads nor one that takes long may hide the end, or the dump that tells why.
	ends, stopEnds := notified(2, syscall.SIGTERM, syscall.SIGINT)
	defer stopEnds()
	reloads, stopReloads := notified(1, syscall.SIGHUP) // one more, while one goes on, stands for all that come
	defer stopReloads()
	dumps, stopDumps := notified(1, syscall.SIGQUIT)
	defer stopDumps()
	others.Go(func() { s.obeyEnds(outside, ends, stop) })
	others.Go(func() { each(outside, reloads, func() { s.reload(outside, p, systemd) }) })
	others.Go(func() { each(outside, dumps, func() { s.dumpTo(p.Dump) }) })
	others.Go(func() { systemd.beat(outside) })
	others.Go(func() {
		select {
		case <-s.up:
			systemd.tell("READY=1")
		case <-s.ending:
		case <-outside.Done():
			return
		}
		select {
		case <-s.ending:
			systemd.tell("STOPPING=1")
		case <-outside.Done():
		}
	})
	return s.Run(running)
}

// notified returns a channel of signals, until stop is called.
func notified(room int, of ...os.Signal) (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, room)
	signal.Notify(c, of...)
	return c, func() { signal.Stop(c) }
}

// each calls f for each signal, until ctx ends.
func each(ctx context.Context, signals <-chan os.Signal, f func()) {
	for {
		select {
		case <-signals:
			f()
		case <-ctx.Done():
			return
		}
	}
}

// obeyEnds stops the service on the first signal, and forces it on the second one.
func (s *Service) obeyEnds(ctx context.Context, signals <-chan os.Signal, stop func()) {
	stopping := false
	for {
		var got os.Signal
		select {
		case got = <-signals:
		case <-ctx.Done():
			return
		}
		if !stopping {
			stopping = true
			s.log.Info("service stops on a signal", "signal", got.String(), "running", len(s.Running()))
			stop()
			continue
		}
		s.log.Warn("service stops by force on a second signal", "signal", got.String(), "running", fmt.Sprint(s.Running()))
		s.Force()
		signal.Reset(syscall.SIGTERM, syscall.SIGINT)
	}
}

// reload reloads in every phase: a log that was moved away while the service waits for its bus, or drains, has to be left, too.
// systemd is told while the service runs alone; before and after, it waits for another word.
func (s *Service) reload(ctx context.Context, p Process, systemd *notifier) {
	if p.Reload == nil {
		s.log.Info("signal ignored: there is nothing to be reloaded", "signal", syscall.SIGHUP.String())
		return
	}
	if s.Phase() == Running {
		systemd.reloading()
		defer func() {
			if s.Phase() == Running {
				systemd.tell("READY=1")
			}
		}()
	}
	if err := p.Reload(ctx); err != nil {
		s.log.Error("not reloaded", "error", err)
	}
}

func (s *Service) dumpTo(w io.Writer) {
	if w == nil {
		s.log.Info("signal ignored: there is nowhere to write the state to", "signal", syscall.SIGQUIT.String())
		return
	}
	if err := s.dump(w); err != nil {
		s.log.Error("state not written", "error", err)
	}
}

// dump writes what runs.
func (s *Service) dump(w io.Writer) error {
	requests := s.Running()
	if _, err := fmt.Fprintf(w, "%s, %d requests running\n", s.Phase(), len(requests)); err != nil {
		return fmt.Errorf("service: write state: %w", err)
	}
	for _, r := range requests {
		if _, err := fmt.Fprintf(w, "  %s\n", r); err != nil {
			return fmt.Errorf("service: write state: %w", err)
		}
	}
	for _, t := range s.Tasks() {
		if _, err := fmt.Fprintf(w, "  task %s: %d runs, %d failed, active %t, the last began %s\n", t.Name, t.Runs, t.Failed, t.Active, t.Began.Format(timeFormat)); err != nil {
			return fmt.Errorf("service: write state: %w", err)
		}
	}
	if err := pprof.Lookup("goroutine").WriteTo(w, 2); err != nil {
		return fmt.Errorf("service: write goroutines: %w", err)
	}
	return nil
}

// timeFormat is that of times in dumps.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

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
	// Reload is called on SIGHUP, one call at a time. Default: SIGHUP is ignored.
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
	signals := make(chan os.Signal, 16) // the first few, while a reload takes its time
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	others.Go(func() { s.obey(outside, signals, p, systemd, stop) })
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

// obey does what signals ask for.
func (s *Service) obey(ctx context.Context, signals <-chan os.Signal, p Process, systemd *notifier, stop func()) {
	ends := 0
	for {
		var got os.Signal
		select {
		case got = <-signals:
		case <-ctx.Done():
			return
		}
		switch got {
		case syscall.SIGHUP:
			s.reload(ctx, p, systemd)
		case syscall.SIGQUIT:
			if p.Dump == nil {
				s.log.Info("signal ignored: there is nowhere to write the state to", "signal", got.String())
			} else if err := s.dump(p.Dump); err != nil {
				s.log.Error("state not written", "error", err)
			}
		default:
			ends++
			if ends == 1 {
				s.log.Info("service stops on a signal", "signal", got.String(), "running", len(s.Running()))
				stop()
				continue
			}
			s.log.Warn("service stops by force on a second signal", "signal", got.String(), "running", fmt.Sprint(s.Running()))
			s.Force()
			signal.Reset(syscall.SIGTERM, syscall.SIGINT)
		}
	}
}

func (s *Service) reload(ctx context.Context, p Process, systemd *notifier) {
	if p.Reload == nil {
		s.log.Info("signal ignored: there is nothing to be reloaded", "signal", syscall.SIGHUP.String())
		return
	}
	if s.Phase() != Running {
		s.log.Info("not reloaded: the service starts or stops", "phase", s.Phase(), "signal", syscall.SIGHUP.String())
		return
	}
	systemd.reloading()
	if err := p.Reload(ctx); err != nil {
		s.log.Error("not reloaded", "error", err)
	}
	systemd.tell("READY=1")
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

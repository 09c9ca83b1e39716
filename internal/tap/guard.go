package tap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/goslo/goslo/internal/management"
)

const (
	// spare is how much longer than asked for a guard leaves the firehose on when it hears nothing.
	spare = 15 * time.Second
	// patience is for how long a guard tries to switch it off where the broker does not answer.
	patience = 5 * time.Minute
	// againEvery is how often.
	againEvery = time.Second
)

// A guardState is what a guard says, a line each.
type guardState struct {
	State string `json:"state"` // "on", "off" or "failed"
	Error string `json:"error,omitempty"`
}

// Guard is the life of a guard process: it switches the firehose on, and off again when in ends, which it does when the process at its other end closes
// it or is gone, however it went, or after limit and some spare time. It tells out what it has done. Signals that end a terminal's programs do not
// end it.
func Guard(ctx context.Context, api *management.Client, limit time.Duration, in io.Reader, out io.Writer) error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	ctx = context.WithoutCancel(ctx)
	say := func(state string, err error) error {
		s := guardState{State: state}
		if err != nil {
			s.Error = err.Error()
		}
		_ = json.NewEncoder(out).Encode(s) // who does not read it has gone
		return err
	}
	if err := api.SetTracing(ctx, true); err != nil {
		return say("failed", err)
	}
	_ = say("on", nil) // it returns what it was given
	over := make(chan struct{})
	go func() { // it ends with in, or with the process, which has nothing else to do
		defer close(over)
		_, _ = io.Copy(io.Discard, in) // how it ended does not matter
	}()
	timer := time.NewTimer(limit + spare)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	}
	if err := switchOff(ctx, api); err != nil {
		return say("failed", err)
	}
	return say("off", nil)
}

// switchOff tries until it is done, or known that it cannot be.
func switchOff(ctx context.Context, api *management.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := api.SetTracing(ctx, false)
		if err == nil || management.Is(err, management.NotFound) || management.Is(err, management.NoVhost) {
			return nil // what is gone is off
		}
		if management.Is(err, management.Forbidden) || management.Is(err, management.Unauthorized) {
			return err
		}
		timer := time.NewTimer(againEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// A Firehose is the broker's own copy of each message, switched on for a while. It ends with [Firehose.Close], and when this process does.
type Firehose struct {
	// Before says that it was on before; then it is left on.
	Before bool

	api   *management.Client
	guard *exec.Cmd
	in    io.WriteCloser
	out   *json.Decoder
}

// Switch switches the firehose on, unless it is on, by a guard: a process that does what [Guard] does, with api's broker, until its standard input ends, and
// tells on its standard output. first is written to it before. The error is a *[management.Error] where the user may not.
func Switch(ctx context.Context, api *management.Client, guard *exec.Cmd, first []byte) (*Firehose, error) {
	f := &Firehose{api: api, guard: guard}
	vhost, err := api.DescribeVhost(ctx)
	if err != nil {
		return nil, err
	}
	if vhost.Tracing {
		f.Before = true
		return f, nil
	}
	user, err := api.Whoami(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(user.Tags, "administrator") {
		return nil, &management.Error{
			Method: http.MethodPut, URL: api.URL(), Problem: management.Forbidden, Username: user.Name, Vhost: api.Vhost(),
			Detail: "switching the firehose wants the tag administrator; whoever has it may switch it on (`rabbitmqctl trace_on -p " + api.Vhost() +
				"`), and off again afterwards (trace_off)",
		}
	}
	if err := f.start(); err != nil {
		return nil, fmt.Errorf("tap: start the process that switches the firehose off: %w", err)
	}
	if _, err = f.in.Write(first); err != nil {
		return nil, errors.Join(fmt.Errorf("tap: the process that switches the firehose off: %w", err), f.end())
	}
	// Closing its input ends it, whatever it does.
	stop := context.AfterFunc(ctx, func() { _ = f.in.Close() })
	defer stop()
	s, err := f.hear()
	if err == nil && s.State != "on" {
		err = errors.New(s.Error)
	}
	if err != nil {
		return nil, errors.Join(err, f.end())
	}
	return f, nil
}

func (f *Firehose) start() error {
	detach(f.guard)
	var err error
	if f.in, err = f.guard.StdinPipe(); err != nil {
		return err
	}
	out, err := f.guard.StdoutPipe()
	if err != nil {
		return err
	}
	f.out = json.NewDecoder(out)
	return f.guard.Start()
}

func (f *Firehose) hear() (s guardState, err error) {
	if err := f.out.Decode(&s); err != nil {
		return s, fmt.Errorf("tap: the process that switches the firehose off has ended: %w", err)
	}
	return s, nil
}

// end ends the guard, and waits for it.
func (f *Firehose) end() error {
	_ = f.in.Close() // it may be closed already
	var exit *exec.ExitError
	if err := f.guard.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// Close switches the firehose off, unless it was on before, and returns once that is done.
func (f *Firehose) Close(ctx context.Context) error {
	if f.Before {
		return nil
	}
	_ = f.in.Close() // it may be closed already
	s, err := f.hear()
	if err := f.end(); err != nil {
		return err
	}
	if err == nil && s.State == "off" {
		return nil
	}
	// The guard failed, or was killed: it is for us to do.
	if err := switchOff(ctx, f.api); err != nil {
		return fmt.Errorf("tap: the firehose is still on; switch it off with `rabbitmqctl trace_off -p %s`: %w", f.api.Vhost(), err)
	}
	return nil
}

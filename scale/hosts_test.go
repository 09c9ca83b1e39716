package scale_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// serveHosts is what a copy of the test binary does that is a process of hosts. It returns the exit code.
func serveHosts(in io.Reader, out io.Writer) int {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	p := &hostProcess{}
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, "hosts:", err)
				return 1
			}
			return 0
		}
		r := p.obey(o)
		r.PIDs = []int{os.Getpid()}
		if err := answers.Encode(r); err != nil {
			fmt.Fprintln(os.Stderr, "hosts:", err)
			return 1
		}
	}
}

// A hostProcess is many compute hosts in one process.
type hostProcess struct {
	hosts   []*host
	running sync.WaitGroup
	ending  context.CancelFunc
	working sync.WaitGroup
	resting context.CancelFunc

	mu     sync.Mutex
	report hostsReport
}

// A host has a server on the topic compute, and a client.
type host struct {
	server *rpc.Server
	client *rpc.Client
	bus    transport.Transport
}

func (p *hostProcess) obey(o order) hostsReport {
	var err error
	switch o.Do {
	case "start":
		err = p.start(o)
	case "work":
		err = p.work(o)
	case "rest":
		if p.resting != nil {
			p.resting()
		}
		p.working.Wait()
	case "report":
		var u usage
		u, err = measureSelf()
		p.note(func(r *hostsReport) { r.Usage = u })
	case "stop":
		err = p.stop()
	default:
		err = fmt.Errorf("there is no order %q", o.Do)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.report
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

func (p *hostProcess) note(f func(*hostsReport)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.report)
}

// start starts the hosts, all at once, as after a power failure, and returns when every one of them serves and has its address for replies.
func (p *hostProcess) start(o order) error {
	ctx, ending := context.WithCancel(context.Background())
	p.ending = ending
	u, err := transport.ParseURL(o.URL)
	if err != nil {
		return err
	}
	open := func() (transport.Transport, error) { return p.open(ctx, u) }
	var one transport.Transport
	if o.Shared {
		if one, err = open(); err != nil {
			return err
		}
	}
	p.hosts = make([]*host, o.Count)
	failures := make(chan error, o.Count)
	for i := range p.hosts {
		go func() {
			h := &host{bus: one}
			p.hosts[i] = h
			failures <- p.begin(ctx, h, open, serverName(o.First+i))
		}()
	}
	for range o.Count {
		err = errors.Join(err, <-failures)
	}
	return err
}

// open connects, and tries again where the broker has no time for so many at once, as who starts a program does that has ended.
func (p *hostProcess) open(ctx context.Context, u *transport.URL) (transport.Transport, error) {
	for attempt := 1; ; attempt++ {
		t, err := rabbit.Open(ctx, rabbit.Config{URL: u, Program: "nova-compute"})
		if err == nil || attempt == 20 {
			return t, err
		}
		p.note(func(r *hostsReport) { r.Refused++ })
		select {
		case <-time.After(time.Second + rand.N(4*time.Second)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (p *hostProcess) begin(ctx context.Context, h *host, open func() (transport.Transport, error), name string) (err error) {
	if h.bus == nil {
		if h.bus, err = open(); err != nil {
			return err
		}
	}
	echoed := echo.Handle(func(_ context.Context, a echoArgs) (string, error) {
		p.note(func(r *hostsReport) { r.Served++ })
		return a.Arg, nil
	})
	heard := refresh.Handle(func(context.Context, echoArgs) error {
		now := float64(time.Now().UnixNano()) / 1e9
		p.note(func(r *hostsReport) { r.Heard++; r.Last = max(r.Last, now) })
		return nil
	})
	h.server = rpc.NewServer(h.bus, rpc.ServerConfig{Target: compute, Server: name}, echoed, heard)
	if err := h.server.Listen(ctx); err != nil {
		return err
	}
	p.running.Go(func() {
		if err := h.server.Run(ctx); err != nil {
			p.failed(err)
		}
	})
	h.client = rpc.NewClient(h.bus, rpc.ClientConfig{})
	// The first call of a nova-compute is for its own service record.
	return p.ask(ctx, h, duty{Topic: "conductor", Method: "object_class_action_versions", Size: 400, Answer: 300})
}

func (p *hostProcess) failed(err error) {
	p.note(func(r *hostsReport) { r.Failed++; r.Why = err.Error() })
}

// work has every host do its duties, each from a moment of its own on, until it is told to rest.
func (p *hostProcess) work(o order) error {
	var values map[string]any
	if err := json.Unmarshal(o.Values, &values); err != nil {
		return err
	}
	rc, err := rpc.NewRequestContext(values)
	if err != nil {
		return err
	}
	p.note(func(r *hostsReport) { *r = hostsReport{} })
	ctx, resting := context.WithCancel(rpc.WithContext(context.Background(), rc))
	p.resting = resting
	for _, h := range p.hosts {
		p.working.Go(func() { p.toil(ctx, h, o.Duties) })
	}
	return nil
}

// toil does duties one at a time, as a nova-compute does its periodic tasks.
func (p *hostProcess) toil(ctx context.Context, h *host, duties []duty) {
	every := func(d duty) time.Duration { return time.Duration(d.Every * float64(time.Second)) }
	due := make([]time.Time, len(duties))
	for i, d := range duties {
		due[i] = time.Now().Add(rand.N(every(d)))
	}
	for {
		next := 0
		for i := range due {
			if due[i].Before(due[next]) {
				next = i
			}
		}
		timer := time.NewTimer(time.Until(due[next]))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		due[next] = due[next].Add(every(duties[next]))
		began := time.Now()
		if err := p.ask(context.WithoutCancel(ctx), h, duties[next]); err != nil {
			p.failed(err)
			continue
		}
		p.note(func(r *hostsReport) {
			if duties[next].Fanout {
				r.Casts++
				return
			}
			r.Calls++
			r.Latencies = append(r.Latencies, time.Since(began).Seconds())
		})
	}
}

func (p *hostProcess) ask(ctx context.Context, h *host, d duty) error {
	target, args := rpc.Target{Topic: d.Topic, Version: "3.0"}, dutyArgs{strings.Repeat("x", d.Size), d.Answer}
	if d.Fanout {
		target.Version = "4.0"
		return rpc.NewCast[dutyArgs](target, d.Method).Cast(ctx, h.client.Fanout(), args)
	}
	got, err := rpc.NewCall[dutyArgs, string](target, d.Method).Call(ctx, h.client, args)
	if err == nil && len(got) != d.Answer {
		err = fmt.Errorf("%s answered %d bytes, not %d", d.Method, len(got), d.Answer)
	}
	return err
}

// stop stops the hosts, all at once.
func (p *hostProcess) stop() error {
	p.ending()
	p.running.Wait()
	var ending sync.WaitGroup
	errs := make([]error, len(p.hosts))
	for i, h := range p.hosts {
		ending.Go(func() {
			ctx := context.Background()
			errs[i] = h.client.Close(ctx)
			if err := h.bus.Close(ctx); !errors.Is(err, transport.ErrClosed) {
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	ending.Wait()
	return errors.Join(errs...)
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/goslo/goslo/internal/load"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// A ServerConfig says what servers there are.
type ServerConfig struct {
	Topic string
	// Name is that of the first server. Others have a number added: name-2.
	Name string
	// Servers is how many listen on the topic, on one connection to the bus. Default: 1.
	Servers int
	// Workers is how many requests, or notifications, of each run at a time. Default: 64; 1 with Batch.
	Workers int
	// Wait is how long each request takes, as if it did something. Default: not at all.
	Wait time.Duration
	// Notifications has each of the servers listen for notifications on the topic, too.
	Notifications bool
	// Batch has notifications handled together. Default: one by one.
	Batch notify.Batch
	// Requeue has each notification fail once, so that the bus gives it again. With Batch it is an error.
	Requeue bool
	// Silent has no RPC servers: for a bus that carries notifications alone. Reports are to be had from [Server.Report] then.
	Silent bool
	// Logger gets what goes wrong. Default: nothing is logged.
	Logger *slog.Logger
}

// A Server is all servers of a process.
type Server struct {
	config ServerConfig
	bus    transport.Transport
	client *rpc.Client
	nodes  []*node

	mu     sync.Mutex      // held for a moment
	runs   map[begun]bool  // that have begun at a server, by its name
	failed map[string]bool // notifications that had to fail, by their ids
	done   chan struct{}   // closed when all runs that were begun have ended
}

// A node is one server of the topic, and its account.
type node struct {
	*Server
	name     string
	rpc      *rpc.Server      // nil = silent
	control  *rpc.Server      // the same; apart, so that it answers while the others have a queue
	listener *notify.Listener // nil = no notifications

	mu       sync.Mutex // held for a moment
	total    int64      // of all runs, and of none
	accounts map[string]*account
	order    []string // of accounts, the oldest first
}

// An account is what was received in a run.
type account struct {
	received, bytes int64
	first, last     time.Time
	delay           *hdrhistogram.Histogram // from when it was due, by both clocks
}

// mostRuns are remembered.
const mostRuns = 8

// NewServer returns servers on a bus. It does no I/O.
func NewServer(bus transport.Transport, c ServerConfig) (*Server, error) {
	c.Servers = max(c.Servers, 1)
	if c.Requeue && c.Batch.Size > 0 {
		return nil, errors.New("bench: notifications of a batch cannot be given back one by one")
	}
	s := &Server{
		config: c, bus: bus, client: rpc.NewClient(bus, rpc.ClientConfig{}),
		runs: make(map[begun]bool), failed: make(map[string]bool), done: make(chan struct{}),
	}
	for i := range c.Servers {
		n := &node{Server: s, name: c.Name, accounts: make(map[string]*account)}
		if i > 0 {
			n.name = fmt.Sprintf("%s-%d", c.Name, i+1)
		}
		if !c.Silent {
			n.rpc = rpc.NewServer(bus, rpc.ServerConfig{
				Target: rpc.Target{Topic: c.Topic}, Server: n.name, Workers: c.Workers, Drain: time.Second, Logger: c.Logger,
			}, echo.Handle(n.echo), take.Handle(n.take))
			n.control = rpc.NewServer(bus, rpc.ServerConfig{
				Target: rpc.Target{Topic: control(c.Topic)}, Server: n.name, Drain: time.Second, Logger: c.Logger,
			}, report.Handle(n.report), find.Handle(n.find))
		}
		if c.Notifications {
			handler := notify.NewEvent[message](event).Handle(n.hear)
			if c.Batch.Size > 0 {
				handler = notify.NewEvent[message](event).HandleBatch(n.hearBatch)
			}
			n.listener = notify.NewListener(bus, notify.ListenerConfig{
				Targets: []notify.Target{{Topic: c.Topic}}, Workers: c.Workers, Batch: c.Batch, Backoff: 100 * time.Millisecond,
				Drain: time.Second, Logger: c.Logger,
			}, handler.On(notify.Info))
		}
		s.nodes = append(s.nodes, n)
	}
	return s, nil
}

// Names are those of the servers.
func (s *Server) Names() []string {
	names := make([]string, len(s.nodes))
	for i, n := range s.nodes {
		names[i] = n.name
	}
	return names
}

// Listen subscribes all servers.
func (s *Server) Listen(ctx context.Context) error {
	for _, n := range s.nodes {
		if n.rpc != nil {
			if err := errors.Join(n.rpc.Listen(ctx), n.control.Listen(ctx)); err != nil {
				return err
			}
		}
		if n.listener != nil {
			if err := n.listener.Listen(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	ended := make(chan error)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	running := 0
	start := func(run func(context.Context) error) {
		running++
		go func() { ended <- run(ctx) }()
	}
	for _, n := range s.nodes {
		if n.rpc != nil {
			start(n.rpc.Run)
			start(n.control.Run)
		}
		if n.listener != nil {
			start(n.listener.Run)
		}
	}
	var errs []error
	for range running {
		errs = append(errs, <-ended)
		stop()
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return errors.Join(append(errs, s.client.Close(closing))...)
}

// Done is closed when all runs that were begun at these servers have ended, the first time that is so.
func (s *Server) Done() <-chan struct{} { return s.done }

// Total is how many requests and notifications all servers have received so far.
func (s *Server) Total() int64 {
	var sum int64
	for _, n := range s.nodes {
		n.mu.Lock()
		sum += n.total
		n.mu.Unlock()
	}
	return sum
}

// Report is the account of a run that all servers of the process give together.
func (s *Server) Report(ctx context.Context, run string) ([]Report, error) {
	var all []Report
	for _, n := range s.nodes {
		r, err := n.report(ctx, ask{Run: run})
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func (n *node) echo(ctx context.Context, m message) (string, error) {
	n.note(m)
	return m.Cargo, n.work(ctx)
}

func (n *node) take(ctx context.Context, m message) error {
	n.note(m)
	return n.work(ctx)
}

func (n *node) hear(ctx context.Context, h notify.Notification[message]) error {
	if n.config.Requeue && n.mustFail(h.ID) {
		return errors.New("bench: given back once, as asked for")
	}
	n.note(h.Payload)
	return n.work(ctx)
}

// mustFail says whether it is a notification's first time in this process.
func (s *Server) mustFail(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed[id] {
		delete(s.failed, id)
		return false
	}
	s.failed[id] = true
	return true
}

func (n *node) hearBatch(ctx context.Context, all []notify.Notification[message]) error {
	for _, h := range all {
		n.note(h.Payload)
	}
	return n.work(ctx)
}

// work waits as long as it was asked to.
func (n *node) work(ctx context.Context) error {
	if n.config.Wait == 0 {
		return nil
	}
	timer := time.NewTimer(n.config.Wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *node) note(m message) {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.total++
	if m.Run == "" {
		return
	}
	a := n.account(m.Run)
	if a.received == 0 {
		a.first = now
	}
	a.last = now
	a.received++
	a.bytes += int64(len(m.Cargo))
	load.Record(a.delay, now.Sub(time.Unix(0, m.Sent)))
}

// account is that of a run. The oldest is forgotten for it. The mutex is held.
func (n *node) account(run string) *account {
	a := n.accounts[run]
	if a == nil {
		if len(n.order) == mostRuns {
			delete(n.accounts, n.order[0])
			n.order = n.order[1:]
		}
		a = &account{delay: load.NewHistogram()}
		n.accounts[run] = a
		n.order = append(n.order, run)
	}
	return a
}

func (n *node) report(_ context.Context, a ask) (Report, error) {
	if a.Run != "" { // else somebody only looks
		n.follow(begun{n.name, a.Run}, a.Done)
	}
	r := Report{Server: n.name, PID: os.Getpid(), Go: runtime.Version(), Workers: n.config.Workers, Usage: load.Used(), Traffic: load.ReadTraffic(Hosting(n.bus))}
	r.Host, _ = os.Hostname() // "" = it has no name
	n.mu.Lock()
	defer n.mu.Unlock()
	account := n.account(a.Run)
	r.Received, r.Bytes = account.received, account.bytes
	if account.received > 0 {
		r.First, r.Last = account.first.UnixNano(), account.last.UnixNano()
		delay, err := account.delay.EncodeV2()
		if err != nil {
			return Report{}, err
		}
		r.Delay = string(delay)
	}
	return r, nil
}

// A begun run, at one of the servers.
type begun struct{ server, run string }

// follow takes note of runs that begin and end.
func (s *Server) follow(b begun, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ended {
		s.runs[b] = true
		return
	}
	delete(s.runs, b)
	if len(s.runs) > 0 {
		return
	}
	select {
	case <-s.done:
	default:
		close(s.done)
	}
}

func (n *node) find(ctx context.Context, f finding) error {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	return present.Cast(ctx, n.client.On(f.Topic).To(f.Server), presence{Server: n.name})
}

// Hosting says whether a bus is one that runs in this process.
func Hosting(bus transport.Transport) bool {
	host, ok := bus.(interface{ Hosting() bool })
	return ok && host.Hosting()
}

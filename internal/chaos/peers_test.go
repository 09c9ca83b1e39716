package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// rates are requests per second for each pair.
type rates struct{ calls, casts, fanouts float64 }

func (r rates) of(k kind) float64 {
	return map[kind]float64{call: r.calls, cast: r.casts, fanout: r.fanouts}[k]
}

// Where the peers' servers listen. Each topic has one server, see the package comment.
const (
	topicPrefix = "chaos_"
	serverName  = "one"
)

func (p peer) topic() string { return topicPrefix + strings.ToLower(string(p)) }

type keyed struct {
	Key string `json:"key"`
}

var (
	work = rpc.NewCall[keyed, string](rpc.Target{Version: "1.0"}, "work")
	note = rpc.NewCast[keyed](rpc.Target{Version: "1.0"}, "note")
)

// closing bounds how long peers may take to close.
const closing = 20 * time.Second

// gophers are the peers in Go: a client and a server, with a transport of their own each, as two programs have.
type gophers struct {
	clientBus, serverBus transport.Transport
	client               *rpc.Client
	timeout              time.Duration
	log                  *slog.Logger
	stop                 func() error

	loads   sync.WaitGroup // what makes requests
	unloads context.CancelFunc
	open    sync.WaitGroup // requests

	mu         sync.Mutex
	requests   map[string]request
	executions []execution
}

func newGophers(t *testing.T, url string, timeout time.Duration, log *slog.Logger) *gophers {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g := &gophers{requests: map[string]request{}, timeout: timeout, log: log}
	var err error
	if g.clientBus, err = (goslo.Config{URL: url, Program: "chaos-client", Logger: log.With("program", "client")}).Open(ctx); err != nil {
		t.Fatal(err)
	}
	if g.serverBus, err = (goslo.Config{URL: url, Program: "chaos-server", Logger: log.With("program", "server")}).Open(ctx); err != nil {
		t.Fatal(err)
	}
	g.client = rpc.NewClient(g.clientBus, rpc.ClientConfig{Logger: log.With("program", "client")})
	s := rpc.NewServer(g.serverBus, rpc.ServerConfig{
		Target: rpc.Target{Topic: golang.topic(), Version: "1.0"}, Server: serverName, Logger: log.With("program", "server"),
	},
		work.Handle(func(_ context.Context, k keyed) (string, error) {
			g.execute(k.Key)
			return k.Key, nil
		}),
		note.Handle(func(_ context.Context, k keyed) error {
			g.execute(k.Key)
			return nil
		}))
	if err := s.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(running) }()
	g.stop = func() error {
		stop()
		return <-done
	}
	return g
}

func (g *gophers) execute(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.executions = append(g.executions, execution{key, time.Now()})
}

// forget drops the records of earlier loads.
func (g *gophers) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.requests)
	g.executions = nil
}

// load makes requests of every kind to all servers, until unload.
func (g *gophers) load(run string, at rates) {
	ctx, cancel := context.WithCancel(context.Background())
	g.unloads = cancel
	for _, p := range pairs {
		if p.client != golang {
			continue
		}
		for _, k := range kinds {
			if at.of(k) > 0 {
				g.loads.Go(func() { g.repeat(ctx, run, p, k, at.of(k)) })
			}
		}
	}
}

func (g *gophers) repeat(ctx context.Context, run string, p pair, k kind, perSecond float64) {
	tick := time.NewTicker(time.Duration(float64(time.Second) / perSecond))
	defer tick.Stop()
	to := g.client.On(p.server.topic())
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		key := fmt.Sprintf("%s/%s/%s/%d", run, p, k, n)
		client := to
		if k == fanout {
			client = to.Fanout()
		} else if n%2 == 1 {
			client = to.To(serverName)
		}
		g.open.Go(func() { g.make(client, request{pair: p.String(), key: key, kind: k}) })
	}
}

func (g *gophers) make(client *rpc.Client, r request) {
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	r.began = time.Now()
	g.record(r)
	var err error
	if r.kind == call {
		var reply string
		if reply, err = work.Call(ctx, client, keyed{r.key}); err == nil && reply != r.key {
			err = fmt.Errorf("the answer to %s is that to %s", r.key, reply)
		}
	} else {
		err = note.Cast(ctx, client, keyed{r.key})
	}
	r.ended, r.failure = time.Now(), class(err)
	g.record(r)
	if err != nil {
		g.log.Info("request failed", "key", r.key, "after", r.ended.Sub(r.began), "error", err)
	}
}

func (g *gophers) record(r request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests[r.key] = r
}

// unload makes no more requests.
func (g *gophers) unload() {
	if g.unloads != nil {
		g.unloads()
		g.loads.Wait()
	}
}

// records adds what belongs to the run to the ledger.
func (g *gophers) records(run string, l *ledger) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, r := range g.requests {
		if strings.HasPrefix(key, run+"/") {
			l.requests = append(l.requests, r)
		}
	}
	for _, e := range g.executions {
		if strings.HasPrefix(e.key, run+"/") {
			l.executions = append(l.executions, e)
		}
	}
}

// close ends the peers and says how long that took.
func (g *gophers) close() (took time.Duration, err error) {
	g.unload()
	g.open.Wait()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	err = errors.Join(g.stop(), g.client.Close(ctx), g.clientBus.Close(ctx), g.serverBus.Close(ctx))
	return time.Since(began), err
}

// class is what kind of error a client got.
func class(err error) string {
	var (
		timeout  *rpc.TimeoutError
		nobody   *rpc.NoServerError
		delivery *rpc.DeliveryError
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &timeout):
		return "timed out, " + string(timeout.Phase)
	case errors.As(err, &nobody):
		return "nobody listens"
	case errors.As(err, &delivery):
		for _, known := range []error{transport.ErrInDoubt, transport.ErrNotSent, transport.ErrRejected, transport.ErrClosed} {
			if errors.Is(err, known) {
				return known.Error()
			}
		}
	}
	return fmt.Sprintf("%T", err)
}

package transporttest_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
	"github.com/goslo/goslo/transport/transporttest"
)

// A recorder is a test that may fail without failing the one it stands in.
type recorder struct {
	testing.TB
	ctx context.Context //nolint:containedctx // What testing.TB's Context returns.

	mu       sync.Mutex
	failed   bool
	log      strings.Builder
	cleanups []func()
}

func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Helper()                  {}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *recorder) FailNow() {
	r.Fail()
	runtime.Goexit()
}

func (r *recorder) Log(args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(&r.log, args...)
}

func (r *recorder) Logf(format string, args ...any) { r.Log(fmt.Sprintf(format, args...)) }

func (r *recorder) Error(args ...any) {
	r.Log(args...)
	r.Fail()
}

func (r *recorder) Errorf(format string, args ...any) { r.Error(fmt.Sprintf(format, args...)) }

func (r *recorder) Fatal(args ...any) {
	r.Log(args...)
	r.FailNow()
}

func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

// record runs a case to its end, clean-ups included.
func record(t *testing.T, name string, c transporttest.Config) *recorder {
	t.Helper()
	all := transporttest.Cases()
	i := slices.IndexFunc(all, func(one transporttest.Case) bool { return one.Name == name })
	if i < 0 {
		t.Errorf("there is no case %s", name)
		return &recorder{failed: true}
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &recorder{TB: t, ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			cancel()
			for len(r.cleanups) > 0 {
				last := r.cleanups[len(r.cleanups)-1]
				r.cleanups = r.cleanups[:len(r.cleanups)-1]
				last()
			}
		}()
		all[i].Run(r, c)
	}()
	<-done
	if r.Failed() && !strings.Contains(r.log.String(), all[i].Why) {
		t.Errorf("%s failed without saying why that matters: %s", name, r.log.String())
	}
	return r
}

// Most of what a broken transport does is to wait in vain, so all of them do it at the same time.
func TestBrokenTransportsFail(t *testing.T) {
	t.Parallel()
	var cases sync.WaitGroup
	for _, b := range allBreakages() {
		for name := range strings.FieldsSeq(b.cases) {
			cases.Go(func() {
				c := brokenConfig(b.make)
				c.Patience, c.Silence = time.Second, 50*time.Millisecond
				if r := record(t, name, c); !r.Failed() {
					t.Errorf("a transport that %s passes %s: %s", b.name, name, r.log.String())
				} else {
					t.Logf("%s: %s: %s", b.name, name, r.log.String())
				}
			})
		}
	}
	cases.Wait()
}

func TestLeakFails(t *testing.T) { //nolint:paralleltest // It counts goroutines.
	release := make(chan struct{})
	defer close(release)
	c := brokenConfig(func(*shared) broken {
		return broken{listen: func(t *memory.Transport, ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
			go func() { <-release }()
			return t.Listen(ctx, from, o)
		}}
	})
	if r := record(t, "NoGoroutinesLeft", c); !r.Failed() || !strings.Contains(r.log.String(), "broken) Listen") && !strings.Contains(r.log.String(), "TestLeakFails") {
		t.Errorf("a transport that leaks goroutines passes, or fails otherwise: %s", r.log.String())
	}
}

func TestEveryCaseCanFail(t *testing.T) {
	t.Parallel()
	noticed := map[string]bool{"NoGoroutinesLeft": true} // by TestLeakFails
	for _, b := range allBreakages() {
		for name := range strings.FieldsSeq(b.cases) {
			noticed[name] = true
		}
	}
	for _, one := range transporttest.Cases() {
		if !noticed[one.Name] {
			t.Errorf("no broken transport fails %s", one.Name)
		}
		if one.Why == "" {
			t.Errorf("%s does not say what it proves", one.Name)
		}
	}
}

// The wrapper that the broken ones are made of is not what breaks them.
func TestWrapperPasses(t *testing.T) { //nolint:paralleltest // One case counts goroutines.
	transporttest.Run(t, brokenConfig(func(*shared) broken { return broken{} }))
}

// plain has no optional methods.
type plain struct{ transport.Transport }

func TestUnclaimedFeatures(t *testing.T) {
	t.Parallel()
	config := func(lacks transporttest.Feature, open func(*memory.Transport) transport.Transport) transporttest.Config {
		bus := memory.NewBus()
		return transporttest.Config{Lacks: lacks, Silence: 20 * time.Millisecond, Open: func(testing.TB) transport.Transport { return open(bus.Open(memory.Config{})) }}
	}
	whole := func(t *memory.Transport) transport.Transport { return t }
	bare := func(t *memory.Transport) transport.Transport { return plain{t} }
	for _, c := range []struct {
		name, in string
		config   transporttest.Config
		fails    bool
	}{
		{"has it, and says so", "Inspect", config(0, whole), false},
		{"has it, but says not", "Inspect", config(transporttest.Inspect, whole), true},
		{"has it not, but says so", "Inspect", config(0, bare), true},
		{"has it not, and says so", "Inspect", config(transporttest.Inspect, bare), false},
		{"has no names, and says so", "Topics", config(transporttest.Topics, bare), false},
		{"requeues, but says not", "Requeue", config(transporttest.Requeue, whole), true},
		{"keeps calls, but says not", "CallKeptWhileAway", config(transporttest.KeepsCalls, whole), true},
		{"keeps notifications, but says not", "NotificationWaitsForItsListener", config(transporttest.KeepsNotifications, whole), true},
		{"carries notifications, but says not", "NotificationReachesOneListener", config(transporttest.Notifications, whole), true},
		{"has pools, but says not", "NotificationPools", config(transporttest.Pools, whole), true},
		{"has temporary pools, but says not", "NotificationTemporaryPool", config(transporttest.TemporaryPools, whole), true},
		{"lacks what cannot be seen", "Expires", config(transporttest.Expiry, whole), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.config.Patience = time.Second
			if r := record(t, c.in, c.config); r.Failed() != c.fails {
				t.Errorf("failed: %t, want %t: %s", r.Failed(), c.fails, r.log.String())
			}
		})
	}
}

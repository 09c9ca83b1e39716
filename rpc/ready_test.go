package rpc_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// A doubtfulBus has listeners that may be deaf.
type doubtfulBus struct {
	transport.Transport
	deaf *atomic.Pointer[error]
}

type doubtfulListener struct {
	transport.Listener
	deaf *atomic.Pointer[error]
}

func (b doubtfulBus) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := b.Transport.Listen(ctx, from, o)
	return doubtfulListener{l, b.deaf}, err
}

func (l doubtfulListener) Ready() error {
	if err := l.deaf.Load(); err != nil {
		return *err
	}
	return nil
}

// A server is ready from Listen until it drains, except while its listener says that it is deaf, and then says why.
func TestServerIsReadyAsItsListenerIs(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var deaf atomic.Pointer[error]
		bus := doubtfulBus{c.bus.Open(memory.Config{}), &deaf}
		server := rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "h1"}, echo.Handle(handleEcho))
		if err := server.Ready(); err == nil || !strings.Contains(err.Error(), "h1") {
			t.Errorf("before Listen: %v, want that it does not listen", err)
		}
		if err := server.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := server.Ready(); err != nil {
			t.Errorf("listening: %v", err)
		}
		cause := errors.New("its queue has gone")
		deaf.Store(&cause)
		if err := server.Ready(); !errors.Is(err, cause) {
			t.Errorf("deaf: %v, want %v", err, cause)
		}
		deaf.Store(nil)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- server.Run(ctx) }()
		synctest.Wait()
		if err := server.Ready(); err != nil {
			t.Errorf("serving: %v", err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := server.Ready(); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("after Run: %v, want ErrClosed", err)
		}
		if err := bus.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

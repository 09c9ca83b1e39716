package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// ListenHTTP opens an address for [HTTP]: host:port, or unix: and a path. A socket that a dead process left behind is removed first. What it
// makes at a path is for the owner and the group.
func ListenHTTP(ctx context.Context, address string) (net.Listener, error) {
	var c net.ListenConfig
	path, isPath := strings.CutPrefix(address, "unix:")
	if !isPath {
		l, err := c.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("service: listen at %s: %w", address, err)
		}
		return l, nil
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, fmt.Errorf("service: listen at %s: %w", address, err)
	}
	l, err := c.Listen(ctx, "unix", path)
	if err == nil {
		if err = os.Chmod(path, 0o660); err != nil { //nolint:gosec // a group of monitors may ask
			err = errors.Join(err, l.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("service: listen at %s: %w", address, err)
	}
	return l, nil
}

// removeStale removes a socket at which nobody answers.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is something else than a socket")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close() // it was a question only
		return fmt.Errorf("somebody serves there: %w", syscall.EADDRINUSE)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// HTTP returns a Runner that answers requests at l, which it closes. Put it first: then it answers until everything else has stopped.
// Connections are few and their requests small, as of probes and scrapers.
func HTTP(l net.Listener, h http.Handler, log *slog.Logger) Runner {
	return &httpRunner{l, &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}, time.Second}
}

// HTTPServer returns a Runner that serves an API at l, which it closes. Put it behind the servers on the bus that it needs, and it is stopped
// before them. Then nobody can connect any more, and requests that run have drain to end; what is cut off after that is an error of
// Run. A drain of 0 is as long as it takes.
func HTTPServer(l net.Listener, s *http.Server, drain time.Duration) Runner {
	return apiRunner{&httpRunner{l, s, drain}}
}

type httpRunner struct {
	listener net.Listener
	server   *http.Server
	drain    time.Duration // of answers that are being given at the stop; 0 = without end
}

func (r *httpRunner) Run(ctx context.Context) error {
	if err := r.serve(ctx); !errors.Is(err, errCutOff) {
		return err
	}
	return nil
}

// errCutOff says that an answer took longer than the drain.
var errCutOff = errors.New("requests that did not end in time were cut off")

// serve serves until ctx ends, and then for the drain.
func (r *httpRunner) serve(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- r.server.Serve(r.listener) }()
	select {
	case err := <-ended:
		return r.failed(err)
	case <-ctx.Done():
	}
	closing, cancel := context.WithoutCancel(ctx), context.CancelFunc(func() {})
	if r.drain > 0 {
		closing, cancel = context.WithTimeout(closing, r.drain)
	}
	defer cancel()
	cut := r.server.Shutdown(closing)
	if cut != nil {
		_ = r.server.Close() // it says what cut says
	}
	if err := r.failed(<-ended); err != nil || cut == nil {
		return err
	}
	return r.failed(errCutOff)
}

// failed names the address. A server that was closed has not failed.
func (r *httpRunner) failed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve HTTP at %s: %w", r.listener.Addr(), err)
}

func (r *httpRunner) String() string { return "http " + r.listener.Addr().String() }

// An apiRunner is an httpRunner whose requests matter.
type apiRunner struct{ *httpRunner }

func (r apiRunner) Run(ctx context.Context) error { return r.serve(ctx) }
func (r apiRunner) Abort()                        { _ = r.server.Close() } // Run says what became of it

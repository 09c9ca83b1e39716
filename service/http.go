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
	}}
}

type httpRunner struct {
	listener net.Listener
	server   *http.Server
}

// httpEnd is how long an answer that is being given may take at the stop.
const httpEnd = time.Second

func (r *httpRunner) Run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- r.server.Serve(r.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP at %s: %w", r.listener.Addr(), err)
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpEnd)
	defer cancel()
	if err := r.server.Shutdown(closing); err != nil {
		_ = r.server.Close() // what was asked for has its end
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP at %s: %w", r.listener.Addr(), err)
	}
	return nil
}

func (r *httpRunner) String() string { return "http " + r.listener.Addr().String() }

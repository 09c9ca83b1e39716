package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/goslo/goslo/observe/oslolog"
)

// open returns where o says that logs go, and a handler that writes there.
func (o *LogOptions) open(name string, level slog.Leveler, stderr io.Writer) (*logFile, slog.Handler, error) {
	path := o.LogFile
	if path == "" && o.LogDir != "" {
		path = name + ".log"
	}
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(o.LogDir, path)
	}
	var (
		file *logFile
		to   = stderr
	)
	if path != "" {
		file = &logFile{path: path}
		if err := file.reopen(); err != nil {
			return nil, nil, err
		}
		to = file
		if o.UseStderr {
			to = io.MultiWriter(file, stderr)
		}
	}
	handler, err := oslolog.New(to, oslolog.Options{
		Level: level, Logger: name, JSON: o.UseJSON,
		ContextFormat: o.ContextFormat, DefaultFormat: o.DefaultFormat, DebugSuffix: cmp.Or(o.DebugSuffix, " "),
		ExceptionPrefix: o.ExceptionPrefix, UserIdentityFormat: o.UserIdentityFormat, InstanceFormat: o.InstanceFormat, DateFormat: o.DateFormat,
	})
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, handler, nil
}

// level is what debug asks for.
func (o *LogOptions) level() slog.Level {
	if o.Debug {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// A logFile is a file that may be moved away, and is then opened anew. A nil one is none.
type logFile struct {
	path string

	mu   sync.Mutex
	file *os.File
}

func (f *logFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Write(p)
}

// reopen leaves the file as it was when it cannot be opened.
func (f *logFile) reopen() error {
	if f == nil {
		return nil
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640) //nolint:gosec // as logs of other services: for their group
	if err != nil {
		return fmt.Errorf("program: open the log: %w", err)
	}
	f.mu.Lock()
	old := f.file
	f.file = file
	f.mu.Unlock()
	if old != nil {
		err = old.Close()
	}
	if err != nil {
		return fmt.Errorf("program: close the log that was: %w", err)
	}
	return nil
}

func (f *logFile) Close() error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}

// A failures handler writes what went wrong in the service within; the rest the service around it says.
type failures struct{ slog.Handler }

func (f failures) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && f.Handler.Enabled(ctx, l)
}

// An early handler keeps what is logged before it is known how to log.
type early struct {
	*stash

	wrap func(slog.Handler) slog.Handler // WithAttrs and WithGroup, in their order
}

// A stash is what all handlers made from one have in common.
type stash struct {
	handler atomic.Pointer[slog.Handler] // nil = not known yet

	mu   sync.Mutex
	kept []func(slog.Handler)
}

func newEarly() early {
	return early{&stash{}, func(h slog.Handler) slog.Handler { return h }}
}

// open has h write what was kept, and all that comes.
func (s *stash) open(h slog.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler.Store(&h)
	for _, write := range s.kept {
		write(h)
	}
	s.kept = nil
}

func (e early) Enabled(ctx context.Context, l slog.Level) bool {
	h := e.handler.Load()
	return h == nil || (*h).Enabled(ctx, l)
}

func (e early) Handle(ctx context.Context, r slog.Record) error {
	if h := e.handler.Load(); h != nil {
		return e.wrap(*h).Handle(ctx, r)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.handler.Load(); h != nil {
		return e.wrap(*h).Handle(ctx, r)
	}
	ctx, kept := context.WithoutCancel(ctx), r.Clone()
	e.kept = append(e.kept, func(h slog.Handler) {
		if h.Enabled(ctx, kept.Level) {
			_ = e.wrap(h).Handle(ctx, kept) // nobody is left to be told
		}
	})
	return nil
}

func (e early) WithAttrs(attrs []slog.Attr) slog.Handler {
	return early{e.stash, func(h slog.Handler) slog.Handler { return e.wrap(h).WithAttrs(attrs) }}
}

func (e early) WithGroup(name string) slog.Handler {
	return early{e.stash, func(h slog.Handler) slog.Handler { return e.wrap(h).WithGroup(name) }}
}

package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// serverLog hands nats-server's messages to slog, at debug level: what matters to a user, this package says itself.
type serverLog struct {
	log   *slog.Logger
	once  sync.Once
	fatal chan string // the first reason why the server cannot run
}

func (l *serverLog) tell(level, format string, v []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("embedded: server: "+fmt.Sprintf(format, v...), "level", level)
	}
}

// Noticef implements server.Logger.
func (l *serverLog) Noticef(format string, v ...any) { l.tell("notice", format, v) }

// Warnf implements server.Logger.
func (l *serverLog) Warnf(format string, v ...any) { l.tell("warning", format, v) }

// Errorf implements server.Logger.
func (l *serverLog) Errorf(format string, v ...any) { l.tell("error", format, v) }

// Debugf implements server.Logger.
func (l *serverLog) Debugf(format string, v ...any) { l.tell("debug", format, v) }

// Tracef implements server.Logger.
func (l *serverLog) Tracef(format string, v ...any) { l.tell("trace", format, v) }

// Fatalf implements server.Logger. The process goes on: start returns the reason.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.tell("fatal", format, v)
	l.once.Do(func() { l.fatal <- fmt.Sprintf(format, v...) })
}

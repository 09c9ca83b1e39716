package embedded

import (
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
	l.log.Debug("embedded: server says", "level", level, "message", said{format, v})
}

// said is formatted only when it is logged.
type said struct {
	format string
	v      []any
}

// LogValue implements slog.LogValuer.
func (s said) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf(s.format, s.v...)) }

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

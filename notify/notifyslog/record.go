package notifyslog

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/mask"
	"github.com/goslo/goslo/notify"
)

// priority is that of a level. They are called as by package oslolog: four above error is critical.
func priority(l slog.Level) notify.Priority {
	switch {
	case l >= slog.LevelError+4:
		return notify.Critical
	case l >= slog.LevelError:
		return notify.Error
	case l >= slog.LevelWarn:
		return notify.Warn
	case l >= slog.LevelInfo:
		return notify.Info
	}
	return notify.Debug
}

// levels are Python's, by priority.
var levels = map[notify.Priority]struct {
	name   string
	number int
}{
	notify.Critical: {"CRITICAL", 50}, notify.Error: {"ERROR", 40}, notify.Warn: {"WARNING", 30}, notify.Info: {"INFO", 20}, notify.Debug: {"DEBUG", 10},
}

// A payload is what is told of a record (NLOG-02). Go has no exceptions, and no threads that a program sees.
type payload struct {
	Name        string          `json:"name"`
	Level       int             `json:"levelno"`
	LevelName   string          `json:"levelname"`
	ExcInfo     *string         `json:"exc_info"` // null
	Path        string          `json:"pathname"`
	Line        int             `json:"lineno"`
	Message     string          `json:"msg"`
	Function    string          `json:"funcName"`
	Thread      *int            `json:"thread"` // null
	ProcessName string          `json:"processName"`
	PID         int             `json:"process"`
	Extra       json.RawMessage `json:"extra"` // the attributes, secrets masked; null without any
}

func (h *Handler) payload(ctx context.Context, r *slog.Record) payload {
	level := levels[priority(r.Level)]
	frame := frameOf(r)
	p := payload{
		Name: h.config.Name, Level: level.number, LevelName: level.name, Path: frame.File, Line: frame.Line, Message: mask.Text(r.Message),
		Function: frame.Function[strings.LastIndexByte(frame.Function, '/')+1:], ProcessName: h.program, PID: os.Getpid(), Extra: json.RawMessage("null"),
	}
	_, p.Function, _ = strings.Cut(p.Function, ".")
	extra := h.extra(ctx, r)
	var logger string
	if json.Unmarshal(extra["logger"], &logger) == nil && logger != "" {
		p.Name = logger
		delete(extra, "logger")
	}
	if len(extra) > 0 {
		if raw, err := json.Marshal(extra); err == nil { // it was JSON before
			p.Extra = mask.JSON(raw)
		}
	}
	return p
}

// extra are the record's attributes, as slog writes them in JSON.
func (h *Handler) extra(ctx context.Context, r *slog.Record) map[string]json.RawMessage {
	var b bytes.Buffer
	to := slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: r.Level}).WithGroup("extra")
	for _, step := range h.steps {
		to = step(to)
	}
	bare := slog.NewRecord(time.Time{}, r.Level, "", 0)
	r.Attrs(func(a slog.Attr) bool {
		bare.AddAttrs(a)
		return true
	})
	var line struct{ Extra map[string]json.RawMessage }
	if to.Handle(ctx, bare) != nil || json.Unmarshal(b.Bytes(), &line) != nil {
		return nil
	}
	return line.Extra
}

// frameOf is where a record was made, as far as it tells.
func frameOf(r *slog.Record) runtime.Frame {
	if r.PC == 0 {
		return runtime.Frame{}
	}
	f, _ := runtime.CallersFrames([]uintptr{r.PC}).Next()
	return f
}

// telling is the key by which contexts say that a record is being told.
type telling struct{}

// ways are the packages that notifications pass.
var ways = []string{"github.com/goslo/goslo/notify.", "github.com/goslo/goslo/transport"}

// ownRecord says whether a record is about telling: logged by who tells, or by a package on the way, whatever its context. It would beget
// itself without end when what it complains of concerns notifications, too; also when the driver log is among the notifier's.
func ownRecord(ctx context.Context, r slog.Record) bool {
	if ctx.Value(telling{}) != nil {
		return true
	}
	f := frameOf(&r).Function
	for _, way := range ways {
		if strings.HasPrefix(f, way) {
			return true
		}
	}
	return false
}

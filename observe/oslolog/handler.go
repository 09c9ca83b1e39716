package oslolog

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/goslo/goslo/rpc"
)

// Options are oslo.log's, by the names that they have there; the zero value is its defaults. A format is Python's, of fields like %(name)s, %(msecs)03d.
type Options struct {
	// Level is the least that is written; oslo.log's debug=true is slog.LevelDebug. Default: slog.LevelInfo.
	Level slog.Leveler
	// Logger is %(name)s of records without the attribute logger. Default: the program's name.
	Logger string
	// JSON is oslo.log's use_json: an object for each record, and no formats but DateFormat.
	JSON bool

	ContextFormat      string // logging_context_format_string: of records with a request id
	DefaultFormat      string // logging_default_format_string: of all others
	DebugSuffix        string // logging_debug_format_suffix: added to the format of debug records; " " for none
	ExceptionPrefix    string // logging_exception_prefix: in front of each line of a traceback
	UserIdentityFormat string // logging_user_identity_format: what %(user_identity)s is
	InstanceFormat     string // instance_format and instance_uuid_format; the field is %(uuid)s
	DateFormat         string // log_date_format: of %(asctime)s, as strftime has it
}

// oslo.log's defaults (oslo_log/_options.py).
const (
	contextFormat      = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(global_request_id)s %(request_id)s %(user_identity)s] %(instance)s%(message)s"
	defaultFormat      = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [-] %(instance)s%(message)s"
	debugSuffix        = "%(funcName)s %(pathname)s:%(lineno)d"
	exceptionPrefix    = "%(asctime)s.%(msecs)03d %(process)d ERROR %(name)s %(instance)s"
	userIdentityFormat = "%(user)s %(project)s %(domain)s %(system_scope)s %(user_domain)s %(project_domain)s"
	instanceFormat     = "[instance: %(uuid)s] "
	dateFormat         = "%Y-%m-%d %H:%M:%S"
)

// New returns a handler that writes to w. The error is of a format that cannot be read.
func New(w io.Writer, o Options) (slog.Handler, error) {
	s := &sink{w: w, level: o.Level, logger: o.Logger, began: time.Now(), pid: os.Getpid(), program: filepath.Base(os.Args[0])}
	if s.level == nil {
		s.level = slog.LevelInfo
	}
	s.logger = cmp.Or(s.logger, s.program)
	s.host, _ = os.Hostname() // a host without a name has none in its log
	var err error
	if s.date, err = parseDate(cmp.Or(o.DateFormat, dateFormat)); err != nil {
		return nil, fmt.Errorf("oslolog: log_date_format: %w", err)
	}
	for _, f := range []struct {
		name, text, fallback string
		to                   *format
	}{
		{"logging_context_format_string", o.ContextFormat, contextFormat, &s.context},
		{"logging_default_format_string", o.DefaultFormat, defaultFormat, &s.plain},
		{"logging_debug_format_suffix", o.DebugSuffix, debugSuffix, &s.debug},
		{"logging_exception_prefix", o.ExceptionPrefix, exceptionPrefix, &s.exception},
		{"logging_user_identity_format", o.UserIdentityFormat, userIdentityFormat, &s.identity},
		{"instance_format", o.InstanceFormat, instanceFormat, &s.instance},
	} {
		if *f.to, err = parseFormat(cmp.Or(f.text, f.fallback)); err != nil {
			return nil, fmt.Errorf("oslolog: %s: %w", f.name, err)
		}
	}
	if o.DebugSuffix == " " {
		s.debug = nil
	}
	s.write = s.text
	if o.JSON {
		s.write = s.json
	}
	return &handler{sink: s}, nil
}

// A sink is what all handlers made from one have in common.
type sink struct {
	level   slog.Leveler
	logger  string
	program string
	host    string
	pid     int
	began   time.Time
	date    date
	formats
	write func(dst []byte, e *entry) []byte

	mu sync.Mutex
	w  io.Writer
}

type formats struct{ context, plain, debug, exception, identity, instance format }

// A handler is a slog.Handler.
type handler struct {
	sink  *sink
	group string // in front of keys, with a dot; "" = none
	attrs []attr // from WithAttrs
}

// An attr is an attribute with its groups in front of its key.
type attr struct {
	key   string
	value slog.Value
}

// Enabled is part of slog.Handler.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.sink.level.Level() }

// WithAttrs is part of slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.attrs = slices.Clip(h.attrs)
	for _, a := range attrs {
		n.attrs = appendAttr(n.attrs, h.group, a)
	}
	return &n
}

// WithGroup is part of slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	n := *h
	n.group += name + "."
	return &n
}

func appendAttr(all []attr, group string, a slog.Attr) []attr {
	v := a.Value.Resolve()
	switch {
	case v.Kind() == slog.KindGroup:
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, member := range v.Group() {
			all = appendAttr(all, group, member)
		}
		return all
	case a.Equal(slog.Attr{}):
		return all
	}
	return append(all, attr{group + a.Key, v})
}

// Handle is part of slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	s := h.sink
	e := &entry{sink: s, record: &r, logger: s.logger, request: requestOf(rpc.ContextFrom(ctx))}
	for _, a := range h.attrs {
		e.take(a)
	}
	r.Attrs(func(a slog.Attr) bool {
		for _, a := range appendAttr(nil, h.group, a) {
			e.take(a)
		}
		return true
	})
	line := append(s.write(make([]byte, 0, 512), e), '\n')
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.w.Write(line)
	return err
}

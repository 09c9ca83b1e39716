package oslolog

import (
	"cmp"
	"log/slog"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// An entry is a record on its way into the log.
type entry struct {
	sink    *sink
	record  *slog.Record
	request *request // nil = none
	logger  string

	instance, resource string
	summary            string // of an error
	traceback          string
	rest               []attr
	source             *runtime.Frame // nil until asked for
}

// take puts an attribute in its place.
func (e *entry) take(a attr) {
	switch a.key {
	case "logger":
		e.logger = a.value.String()
		return
	case "instance", "instance_uuid":
		e.instance = a.value.String()
	case "resource":
		e.resource = "[" + a.value.String() + "] "
	case "traceback":
		e.traceback = a.value.String()
		return
	case "error":
		if e.record.Level >= slog.LevelWarn {
			e.summary = a.value.String()
			return
		}
	}
	e.rest = append(e.rest, a)
}

// about is %(instance)s: what the record, or else its request, is about.
func (e *entry) about() string {
	id := e.instance
	if id == "" && e.request != nil {
		if v := e.request.values["resource_uuid"]; v != nil {
			id = pythonText(v)
		}
	}
	if id == "" {
		return ""
	}
	return string(e.sink.instance.append(nil, func(string) string { return id }))
}

// levelOf is Python's name and number of a level.
func levelOf(l slog.Level) (name string, number int) {
	switch {
	case l < slog.LevelDebug:
		return "TRACE", 5
	case l < slog.LevelInfo:
		return "DEBUG", 10
	case l < slog.LevelWarn:
		return "INFO", 20
	case l < slog.LevelError:
		return "WARNING", 30
	case l < slog.LevelError+4:
		return "ERROR", 40
	}
	return "CRITICAL", 50
}

// frame is where the record was made.
func (e *entry) frame() *runtime.Frame {
	if e.source == nil {
		f, _ := runtime.CallersFrames([]uintptr{e.record.PC}).Next()
		f.Function = f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		_, f.Function, _ = strings.Cut(f.Function, ".")
		e.source = &f
	}
	return e.source
}

// text is the record as a line, or several.
func (s *sink) text(dst []byte, e *entry) []byte {
	value := e.value()
	f := s.plain
	if e.request != nil && e.request.orDash("request_id") != "-" {
		f = s.context
	}
	start := len(dst)
	dst = f.append(dst, value)
	if e.summary != "" && !f.has("error_summary") {
		dst = append(append(dst, ": "...), e.summary...)
	}
	if level, _ := levelOf(e.record.Level); level == "DEBUG" && len(s.debug) > 0 {
		dst = s.debug.append(append(dst, ' '), value)
	}
	if e.traceback == "" {
		return dst
	}
	if len(dst) > start && dst[len(dst)-1] != '\n' {
		dst = append(dst, '\n')
	}
	for i, line := range strings.Split(e.traceback, "\n") {
		if i > 0 {
			dst = append(dst, '\n')
		}
		dst = append(s.exception.append(dst, value), line...)
	}
	return dst
}

func (f format) has(field string) bool {
	for _, p := range f {
		if p.field == field {
			return true
		}
	}
	return false
}

// value returns what each field of a format stands for.
func (e *entry) value() func(field string) string {
	s, r := e.sink, e.record
	var asctime string
	return func(field string) string {
		switch field {
		case "asctime":
			if asctime == "" {
				asctime = string(s.date.append(nil, r.Time))
			}
			return asctime
		case "isotime":
			return r.Time.Format("2006-01-02T15:04:05.000000-07:00")
		case "msecs":
			return strconv.Itoa(r.Time.Nanosecond() / int(time.Millisecond))
		case "created":
			return strconv.FormatFloat(seconds(r.Time), 'f', 6, 64)
		case "process":
			return strconv.Itoa(s.pid)
		case "processName":
			return s.program
		case "levelname":
			name, _ := levelOf(r.Level)
			return name
		case "levelno":
			_, number := levelOf(r.Level)
			return strconv.Itoa(number)
		case "name":
			return e.logger
		case "message":
			return e.message()
		case "instance":
			return e.about()
		case "resource":
			return e.resource
		case "error_summary":
			return cmp.Or(e.summary, "-")
		case "funcName":
			return e.frame().Function
		case "pathname":
			return e.frame().File
		case "filename":
			return filepath.Base(e.frame().File)
		case "module":
			return strings.TrimSuffix(filepath.Base(e.frame().File), ".go")
		case "lineno":
			return strconv.Itoa(e.frame().Line)
		}
		return e.ofRequest(field)
	}
}

// ofRequest is a field that the request context has. What it has not is nothing, as are colours.
func (e *entry) ofRequest(field string) string {
	if e.request == nil {
		return ""
	}
	if field == "user_identity" {
		return string(e.sink.identity.append(nil, e.request.orDash))
	}
	if _, ok := e.request.values[field]; !ok {
		return ""
	}
	return e.request.text(field)
}

// message is the record's, and the attributes that have no other place.
func (e *entry) message() string {
	if len(e.rest) == 0 {
		return e.record.Message
	}
	var b strings.Builder
	b.WriteString(e.record.Message)
	for _, a := range e.rest {
		if a.key == "instance" || a.key == "instance_uuid" || a.key == "resource" {
			continue
		}
		text := a.value.String()
		if text == "" || strings.ContainsAny(text, " \t\r\n\"=") {
			text = strconv.Quote(text)
		}
		b.WriteString(" " + a.key + "=" + text)
	}
	return b.String()
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

package oslolog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"
)

// json is the record as an object with the members of oslo.log's JSONFormatter. Go has no names of threads: those are null.
func (s *sink) json(dst []byte, e *entry) []byte {
	r, from := e.record, e.frame()
	level, number := levelOf(r.Level)
	file := filepath.Base(from.File)
	request, extra := map[string]any{}, map[string]any{}
	if e.request != nil {
		request = e.request.values
	}
	for _, a := range e.rest {
		extra[a.key] = plain(a.value)
	}
	d := map[string]any{
		"message": r.Message, "msg": r.Message, "args": []string{}, "name": e.logger, "levelname": level, "levelno": number,
		"pathname": from.File, "filename": file, "module": strings.TrimSuffix(file, filepath.Ext(file)), "lineno": from.Line, "funcname": from.Function,
		"asctime": string(s.date.append(nil, r.Time)), "created": seconds(r.Time), "msecs": r.Time.Nanosecond() / int(time.Millisecond),
		"relative_created": float64(r.Time.Sub(s.began).Microseconds()) / 1e3,
		"thread":           nil, "thread_name": nil, "process_name": s.program, "process": s.pid, "hostname": s.host,
		"traceback": e.lines(), "error_summary": e.summary, "context": request, "extra": extra,
	}
	text, err := encode(d)
	if err != nil { // of an attribute, as Python falls back to repr
		for key, v := range extra {
			if _, err := encode(v); err != nil {
				extra[key] = fmt.Sprintf("%+v", v)
			}
		}
		if text, err = encode(d); err != nil {
			return fmt.Appendf(dst, `{"message": %q, "error_summary": %q}`, r.Message, err)
		}
	}
	return append(dst, text...)
}

// lines are those of the traceback that say something; nil without one.
func (e *entry) lines() []string {
	var lines []string
	for line := range strings.Lines(e.traceback) {
		if line = strings.TrimRight(line, " \t\r\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// encode is without the newline that an Encoder adds, and with <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	to := json.NewEncoder(&b)
	to.SetEscapeHTML(false)
	err := to.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// plain is an attribute's value for JSON: errors and times as text.
func plain(v slog.Value) any {
	switch x := v.Any().(type) {
	case error:
		return x.Error()
	case time.Duration:
		return x.String()
	case fmt.Stringer:
		return x.String()
	default:
		return x
	}
}

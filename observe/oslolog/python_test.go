package oslolog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/observe/oslolog"
	"github.com/goslo/goslo/rpc"
)

// A line is a record, as both sides make it.
type line struct {
	Name      string         // of the case
	Level     string         // Python's name
	Logger    string         `json:"logger"`
	Message   string         `json:"message"`
	Context   map[string]any `json:"context"` // nil = none
	Instance  string         `json:"instance"`
	Error     string         `json:"error"` // type: text, of an exception that is logged
	Traceback bool           `json:"traceback"`
	Options   map[string]string
	Created   float64
	Pathname  string
	Lineno    int
	Func      string
	Process   int
}

// The program reads records, one object a line, and prints what oslo.log makes of each: the text, and the JSON.
const program = `
import json, logging, sys, traceback
from oslo_config import cfg
from oslo_context import context
from oslo_log import formatters, log

class Given(Exception):
    pass

for case in map(json.loads, sys.stdin):
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    conf([])
    for name, value in (case["Options"] or {}).items():
        conf.set_override(name, value)
    def record():
        exc_info = None
        if case["error"]:
            name, _, text = case["error"].partition(": ")
            cls = type(name, (Exception,), {"__module__": "builtins"})
            exc_info = (cls, cls(text), None)
        r = logging.makeLogRecord({
            "name": case["logger"], "msg": case["message"], "args": (), "levelname": case["Level"],
            "levelno": 5 if case["Level"] == "TRACE" else getattr(logging, case["Level"]), "pathname": case["Pathname"], "filename": case["Pathname"].split("/")[-1],
            "module": case["Pathname"].split("/")[-1][:-3], "lineno": case["Lineno"], "funcName": case["Func"],
            "created": case["Created"], "msecs": int(round(case["Created"] % 1 * 1e6)) // 1000, "process": case["Process"],
            "exc_info": exc_info, "extra_keys": []})
        if case["instance"]:
            r.instance_uuid = case["instance"]
            r.extra_keys = ["instance_uuid"]
        r.context = context.RequestContext.from_dict(case["context"], overwrite=False) if case["context"] is not None else None
        return r
    text = formatters.ContextFormatter(datefmt=conf.log_date_format, config=conf).format(record())
    print(json.dumps([text, json.loads(formatters.JSONFormatter(datefmt=conf.log_date_format).format(record()))]))
`

func levels() map[string]slog.Level {
	return map[string]slog.Level{
		"TRACE": slog.LevelDebug - 4, "DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARNING": slog.LevelWarn, "ERROR": slog.LevelError, "CRITICAL": slog.LevelError + 4,
	}
}

func lines() []line {
	full := map[string]any{
		"request_id": "req-c7a8a4a2-93c1-4d2c-9b0c-0123456789ab", "global_request_id": "req-11111111-93c1-4d2c-9b0c-0123456789ab",
		"user": "u1", "project_id": "p1", "domain": "d1", "user_domain": "ud", "project_domain": "pd", "system_scope": "all",
		"user_name": "ann", "project_name": "lab", "domain_name": "dom", "user_domain_name": "udn", "project_domain_name": "pdn",
		"auth_token": "secret", "roles": []any{"admin", "member"}, "is_admin": true, "resource_uuid": "res-1", "read_only": true, "show_deleted": true, "is_admin_project": false,
	}
	bare := map[string]any{"request_id": "req-1"}
	return []line{
		{Name: "without a request", Level: "INFO", Message: "started"},
		{Name: "a request", Level: "INFO", Message: "started", Context: full},
		{Name: "a request that says little", Level: "WARNING", Message: "started", Context: bare},
		{Name: "old and empty members", Level: "INFO", Message: "x", Context: map[string]any{"request_id": "req-1", "user": "", "project_id": nil, "roles": []any{}, "auth_token": nil}},
		{Name: "an instance", Level: "INFO", Message: "started", Context: full, Instance: "0f2c"},
		{Name: "an instance without a request", Level: "INFO", Message: "started", Instance: "0f2c"},
		{Name: "debug", Level: "DEBUG", Message: "started", Context: bare},
		{Name: "trace", Level: "TRACE", Message: "started"},
		{Name: "critical, in two lines", Level: "CRITICAL", Message: "one\ntwo", Context: bare},
		{Name: "an exception", Level: "ERROR", Message: "boot failed", Context: full, Error: "InstanceNotFound: no instance 7"},
		{Name: "an exception without a request", Level: "WARNING", Message: "boot failed", Error: "ValueError: boom"},
		{Name: "an exception that is information", Level: "INFO", Message: "boot failed", Context: bare, Error: "ValueError: boom"},
		{Name: "percent signs and characters", Level: "INFO", Message: "100%, %(name)s, ü 日本 \"x\" <&>", Context: bare},
		{Name: "own formats", Level: "ERROR", Message: "own", Context: full, Error: "ValueError: boom", Options: map[string]string{
			"logging_context_format_string": "%(isotime)s|%(levelname)-8s|%(name)10s|%(name).4s|%(user_name)s|%(roles)s|%(is_admin)s|%(request_id)s|%(error_summary)s|%(user_identity)s|%(resource)s|%(message)s|%(color)s%%",
			"logging_exception_prefix":      "%(levelname)s %(request_id)s ", "logging_user_identity_format": "%(user)s/%(project)s",
			"log_date_format": "%d.%m.%y %I:%M:%S %p %% %b %B %a %A %j %F %T %D",
		}},
		{Name: "own formats without a request", Level: "DEBUG", Message: "own", Options: map[string]string{
			"logging_default_format_string": "%(asctime)s %(levelno)03d %(lineno)6d %(lineno)-6d| %(filename)s %(module)s %(instance)s%(message)s", "logging_debug_format_suffix": "%(funcName)s",
			"log_date_format": "%Y%m%dT%H%M%S",
		}},
		{Name: "an instance's own format", Level: "INFO", Message: "own", Instance: "7", Options: map[string]string{"instance_uuid_format": "<%(uuid)s> "}},
	}
}

// What is written of a record is what oslo.log writes of it, letter by letter as text, member by member as JSON.
func TestLinesAreOslos(t *testing.T) {
	t.Parallel()
	var input bytes.Buffer
	at := time.Date(2026, 11, 21, 8, 0, 5, 7_089_000, time.Local)
	_, file, lineno, _ := runtime.Caller(0)
	pc, _, _, _ := runtime.Caller(0)
	all := lines()
	for i := range all {
		l := &all[i]
		l.Logger, l.Created, l.Process = "nova.compute.manager", float64(at.UnixMicro())/1e6, os.Getpid()
		l.Pathname, l.Lineno, l.Func = file, lineno+1, "TestLinesAreOslos"
		if err := json.NewEncoder(&input).Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	python := exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", "-c", program)
	python.Stdin = &input
	var stderr bytes.Buffer
	python.Stderr = &stderr
	out, err := python.Output()
	if err != nil {
		t.Fatalf("%v; install oslo.log with: apt-get install python3-oslo.log\n%s", err, stderr.String())
	}
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(answers) != len(all) {
		t.Fatalf("python printed %d lines for %d records:\n%s\n%s", len(answers), len(all), out, stderr.String())
	}
	for i, l := range all {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			var want []json.RawMessage
			var text string
			if err := errors.Join(json.Unmarshal([]byte(answers[i]), &want), json.Unmarshal(want[0], &text)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(text+"\n", l.written(t, at, pc, false)); diff != "" {
				t.Errorf("text (-oslo.log +ours):\n%s", diff)
			}
			var theirs, ours map[string]any
			if err := errors.Join(json.Unmarshal(want[1], &theirs), json.Unmarshal([]byte(l.written(t, at, pc, true)), &ours)); err != nil {
				t.Fatal(err)
			}
			for _, its := range []string{"thread", "thread_name", "process_name", "relative_created"} { // they differ between any two processes
				if _, ok := ours[its]; !ok {
					t.Errorf("there is no %s", its)
				}
				delete(theirs, its)
				delete(ours, its)
			}
			if diff := cmp.Diff(theirs, ours); diff != "" {
				t.Errorf("JSON (-oslo.log +ours):\n%s", diff)
			}
		})
	}
}

// written is what our handler writes of a record.
func (l line) written(t *testing.T, at time.Time, pc uintptr, asJSON bool) string {
	t.Helper()
	var out bytes.Buffer
	h, err := oslolog.New(&out, oslolog.Options{
		Level: slog.LevelDebug - 8, JSON: asJSON,
		ContextFormat: l.Options["logging_context_format_string"], DefaultFormat: l.Options["logging_default_format_string"],
		DebugSuffix: l.Options["logging_debug_format_suffix"], ExceptionPrefix: l.Options["logging_exception_prefix"],
		UserIdentityFormat: l.Options["logging_user_identity_format"], InstanceFormat: l.Options["instance_uuid_format"], DateFormat: l.Options["log_date_format"],
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if l.Context != nil {
		c, err := rpc.NewRequestContext(l.Context)
		if err != nil {
			t.Fatal(err)
		}
		ctx = rpc.WithContext(ctx, c)
	}
	r := slog.NewRecord(at, levels()[l.Level], l.Message, pc)
	if l.Instance != "" {
		r.AddAttrs(slog.String("instance_uuid", l.Instance))
	}
	if l.Error != "" {
		if levels()[l.Level] >= slog.LevelWarn {
			r.AddAttrs(slog.Any("error", errors.New(l.Error)))
		}
		r.AddAttrs(slog.String("traceback", l.Error+"\n"))
	}
	if err := h.WithAttrs([]slog.Attr{slog.String("logger", l.Logger)}).Handle(ctx, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/goslo/goslo/rpc"
)

// requestFlags are what call, cast, fanout and ping share.
type requestFlags struct {
	namespace, version string
	timeout            seconds // 0 = not given
	monitor            seconds
	context            string
}

const defaultTimeout = time.Minute // oslo's rpc_response_timeout

func (r *requestFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&r.namespace, "namespace", "", "the endpoint's namespace (default: none)")
	flags.StringVar(&r.version, "version", "", `the version asked for, such as 6.0 (default: none, which means "1.0" to the server)`)
	flags.Var(&r.timeout, "timeout", "how long to wait, as 30s or a number of seconds")
	flags.Lookup("timeout").DefValue = "rpc_response_timeout of --config-file, else " + defaultTimeout.String()
	flags.StringVar(&r.context, "context", "", "the request context: a JSON object, @file, or - for standard input (default: a new request_id)")
}

// addMonitor is for calls.
func (r *requestFlags) addMonitor(flags *pflag.FlagSet) {
	flags.Var(&r.monitor, "monitor", "give up when the server shows no sign of life for so long; 2s or more")
}

// A place is TOPIC or TOPIC/SERVER.
type place struct{ topic, server string }

func parsePlace(arg string, mayServer bool) (place, error) {
	topic, server, named := strings.Cut(arg, "/")
	switch {
	case topic == "":
		return place{}, usagef("%q names no topic; it is TOPIC or TOPIC/SERVER", arg)
	case named && !mayServer:
		return place{}, usagef("%q names a server, and a fanout goes to all of them; leave out /%s, or use cast", arg, server)
	case named && server == "":
		return place{}, usagef("%q ends before the server's name; it is TOPIC or TOPIC/SERVER", arg)
	}
	return place{topic, server}, nil
}

func (p place) String() string {
	if p.server == "" {
		return p.topic
	}
	return p.topic + "/" + p.server
}

// client derives the client that sends to the place.
func (p place) client(c *rpc.Client) *rpc.Client {
	if p.server == "" {
		return c.On(p.topic)
	}
	return c.On(p.topic).To(p.server)
}

// A request is a command line of call, cast or fanout, read.
type request struct {
	to     place
	method rpc.Call[json.RawMessage, json.RawMessage]
	name   string
	args   json.RawMessage
}

func (a *app) readRequest(r *requestFlags, args []string, mayServer bool) (request, error) {
	to, err := parsePlace(args[0], mayServer)
	if err != nil {
		return request{}, err
	}
	raw := json.RawMessage("{}")
	if len(args) == 3 {
		if raw, err = a.object("JSON-ARGS", args[2]); err != nil {
			return request{}, err
		}
		if args[2] == "-" && r.context == "-" {
			return request{}, usagef("JSON-ARGS and --context cannot both come from standard input")
		}
	}
	target := rpc.Target{Namespace: r.namespace, Version: r.version}
	return request{to: to, method: rpc.NewCall[json.RawMessage, json.RawMessage](target, args[1]), name: args[1], args: raw}, nil
}

// withContext puts the request context into ctx. Without --context it holds a new request id, by which
// the request can be found in logs.
func (a *app) withContext(ctx context.Context, r *requestFlags) (context.Context, error) {
	var v any = map[string]string{"request_id": newRequestID()}
	if r.context != "" {
		raw, err := a.object("--context", r.context)
		if err != nil {
			return nil, err
		}
		v = raw
	}
	c, err := rpc.NewRequestContext(v)
	if err != nil {
		return nil, &usageError{cause: err}
	}
	return rpc.WithContext(ctx, c), nil
}

// object reads a JSON object from an argument: the text itself, @file or - for standard input. The bytes
// are kept as they are, so that no number loses digits.
func (a *app) object(what, arg string) (json.RawMessage, error) {
	text, from := []byte(arg), ""
	var err error
	if path, isFile := strings.CutPrefix(arg, "@"); isFile {
		from = " in " + path
		text, err = os.ReadFile(path)
	} else if arg == "-" {
		from = " on standard input"
		text, err = io.ReadAll(a.In)
	}
	if err != nil {
		return nil, usagef("read %s: %w", what, err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, usagef("%s%s is empty; it must be a JSON object of named arguments, such as {\"arg\": 1}", what, from)
	}
	var v any
	var syntax *json.SyntaxError
	if err := json.Unmarshal(text, &v); errors.As(err, &syntax) {
		quote := ""
		if from == "" {
			quote = "; quote it for the shell: '{\"arg\": 1}'"
		}
		return nil, usagef("%s%s is not JSON: %s: %w%s", what, from, position(text, syntax.Offset), err, quote)
	}
	if !utf8.Valid(text) {
		return nil, usagef("%s%s is not text in UTF-8", what, from)
	}
	text = bytes.TrimSpace(text)
	if text[0] != '{' {
		return nil, usagef("%s%s must be a JSON object of named arguments, such as {\"arg\": 1}", what, from)
	}
	return text, nil
}

// position is the line and column, in characters, of the last of the first n bytes, at which a JSON parser gave up.
func position(text []byte, n int64) string {
	before := text[:max(n-1, 0)]
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, utf8.RuneCount(line)+1)
}

// seconds is a duration that may also be given as a plain number of seconds.
type seconds time.Duration

func (s *seconds) String() string { return time.Duration(*s).String() }

// Type is shown in the help.
func (s *seconds) Type() string { return "duration" }

// Set reads 30s, 1m30s or 30.
func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, numberErr := strconv.ParseFloat(text, 64); numberErr == nil && n < 1e9 {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is not a time above zero, such as 30s, 1m30s or 30", text)
	}
	*s = seconds(d)
	return nil
}

// milliseconds is how times are given in JSON.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// since is the time since t as it is shown to people.
func since(t time.Time) time.Duration { return shown(time.Since(t)) }

func shown(d time.Duration) time.Duration {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond)
	}
	if d >= time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}

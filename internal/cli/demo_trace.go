package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/rpc"
)

// A hop is one message that arrived, on the bus or over HTTP.
type hop struct {
	Act  int     `json:"act"`
	AtMS float64 `json:"at_ms"` // since the start
	From string  `json:"from"`
	To   string  `json:"to"`
	Kind string  `json:"kind"` // call, cast, fanout, reply, failure, nobody, http or an HTTP status
	What string  `json:"what"`
}

func (h hop) String() string {
	s := fmt.Sprintf("%s -> %s %s", h.From, h.To, h.Kind)
	if h.What != "" {
		s += " " + h.What
	}
	return s
}

// A trace prints hops as they arrive and remembers them. It learns of them from interceptors on both
// sides, and starts no goroutine.
type trace struct {
	app   *app
	start time.Time

	mu      sync.Mutex
	act     int
	hops    []hop
	senders map[string]string // of a method, by topic and method: each has one in this cloud
	broken  error             // what the bus did wrong last
	more    chan struct{}     // closed, and replaced, at each hop
}

func newTrace(a *app) *trace {
	return &trace{app: a, start: time.Now(), senders: map[string]string{}, more: make(chan struct{})}
}

const hopFormat = "%9.1f ms  %-9s -> %-9s  %-7s  %s\n"

// add prints while it holds the lock, so that lines stay whole and in order.
func (t *trace) add(from, to, kind, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := hop{Act: t.act, AtMS: milliseconds(time.Since(t.start)), From: from, To: to, Kind: kind, What: shorten(what)}
	t.hops = append(t.hops, h)
	close(t.more)
	t.more = make(chan struct{})
	if t.app.json {
		// A reader that is gone shows at the end of the act.
		_ = t.app.printLine(h)
		return
	}
	fmt.Fprintf(t.app.Out, hopFormat, h.AtMS, h.From, h.To, h.Kind, h.What)
}

// begin starts an act.
func (t *trace) begin(title string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.act++
	if !t.app.json {
		fmt.Fprintf(t.app.Out, "\n%d. %s\n", t.act, title)
	}
}

func (t *trace) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.hops)
}

// A missingError names the hops of an act that were not seen.
type missingError struct{ hops []hop }

func (e *missingError) Error() string {
	names := make([]string, len(e.hops))
	for i, h := range e.hops {
		names[i] = h.String()
	}
	text := "did not happen: " + strings.Join(names, "; ")
	if !slices.ContainsFunc(e.hops, func(h hop) bool { return h.Kind != "fanout" }) {
		text += "; a broker without multicast, such as Proton's example of one for AMQP 1.0, hands a fanout to one server alone"
	}
	return text
}

// wait returns once all hops of the present act were seen; a hop's What is compared as a prefix. Its error names those
// that were missing when ctx ended.
func (t *trace) wait(ctx context.Context, want []hop) error {
	for {
		missing, more := t.missing(want)
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", &missingError{missing}, context.Cause(ctx))
		}
	}
}

func (t *trace) missing(want []hop) (missing []hop, more <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range want {
		seen := false
		for _, h := range t.hops {
			seen = seen || h.Act == t.act && h.From == w.From && h.To == w.To && h.Kind == w.Kind && strings.HasPrefix(h.What, w.What)
		}
		if !seen {
			missing = append(missing, w)
		}
	}
	return missing, t.more
}

// caller traces what a service sends: the answers to its calls when they arrive. The name of a topic's
// service is role(topic).
func (t *trace) caller(name string, role func(topic string) string) rpc.Interceptor {
	return func(next rpc.Func) rpc.Func {
		return func(ctx context.Context, r *rpc.Request) (json.RawMessage, error) {
			t.mu.Lock()
			t.senders[r.Target.Topic+" "+r.Method] = name
			t.mu.Unlock()
			to := r.Server
			if to == "" {
				to = role(r.Target.Topic)
			}
			start := time.Now()
			result, err := next(ctx, r)
			var (
				noServer *rpc.NoServerError
				remote   *rpc.RemoteError
			)
			switch {
			case errors.As(err, &noServer):
				t.add(name, to, "nobody", fmt.Sprintf("%s: nobody listens there, known after %s", r.Method, since(start)))
			case errors.As(err, &remote):
				t.add(to, name, "failure", remote.Class.Error()+": "+remote.Message)
			case err == nil && r.Mode == rpc.ByCall:
				t.add(to, name, "reply", string(result))
			case err != nil:
				t.broke(err)
			}
			return result, err
		}
	}
}

// broke keeps what the bus did wrong, which the API's clients are not told.
func (t *trace) broke(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.broken = err
}

// because adds to an error what the bus did wrong, if it did.
func (t *trace) because(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken == nil {
		return err
	}
	return fmt.Errorf("%w: %v", err, t.broken) //nolint:errorlint // the demo has failed, whatever that was
}

// server traces what a service receives.
func (t *trace) server(name string) rpc.Interceptor {
	return func(next rpc.Func) rpc.Func {
		return func(ctx context.Context, r *rpc.Request) (json.RawMessage, error) {
			t.mu.Lock()
			from := t.senders[r.Target.Topic+" "+r.Method]
			t.mu.Unlock()
			t.add(from, name, r.Mode.String(), r.Method+" "+string(r.Args))
			return next(ctx, r)
		}
	}
}

// front traces HTTP requests and their answers.
func (t *trace) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		t.add("you", "api", r.Method, r.URL.Path+" "+string(body))
		answer := &answer{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		text := http.StatusText(answer.status)
		if answer.body.Len() > 0 {
			text = answer.body.String()
		}
		t.add("api", "you", strconv.Itoa(answer.status), text)
	})
}

// An answer remembers what was answered.
type answer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.body.Write(b)
	return a.ResponseWriter.Write(b)
}

// shorten makes text fit on a line.
func shorten(text string) string {
	const most = 110
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

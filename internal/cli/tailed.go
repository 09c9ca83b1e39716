package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/mask"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/tap"
)

// A tailed request is one that passed by, as it is shown.
type tailed struct {
	Time            time.Time       `json:"time"`
	Kind            tap.Kind        `json:"kind"`
	Target          tailedTarget    `json:"target"`
	Method          string          `json:"method"`
	Namespace       string          `json:"namespace,omitempty"`
	Version         string          `json:"version,omitempty"`
	RequestID       string          `json:"request_id,omitempty"`
	GlobalRequestID string          `json:"global_request_id,omitempty"`
	Project         string          `json:"project,omitempty"`
	User            string          `json:"user,omitempty"`
	Size            int             `json:"size"`
	ID              string          `json:"id,omitempty"`     // of the call
	Caller          string          `json:"caller,omitempty"` // program:pid @ host
	Args            json.RawMessage `json:"args,omitempty"`
	Outcome         *outcome        `json:"outcome,omitempty"`
}

type tailedTarget struct {
	Exchange string `json:"exchange"`
	Topic    string `json:"topic"`
	Server   string `json:"server,omitempty"`
}

// The states of requests.
const (
	stateAnswered  = "answered"
	stateFailed    = "failed"
	stateTaken     = "taken"      // a server has it, and no answer is awaited
	stateNobody    = "nobody"     // no queue was there for it
	stateWaiting   = "waiting"    // in its queue
	stateRunning   = "running"    // a server has it, and has not answered
	stateReturning = "returning"  // the reply waits in the caller's queue
	stateReplyLost = "reply-lost" // the caller's queue was gone
	stateUntold    = "untold"     // only the tap had it, and its sender may not know
)

// An outcome is what became of a request, as far as it was seen.
type outcome struct {
	State    string   `json:"state"`
	QueueMS  *float64 `json:"queue_ms,omitempty"`
	RunMS    *float64 `json:"run_ms,omitempty"`
	ReturnMS *float64 `json:"return_ms,omitempty"`
	TookMS   *float64 `json:"took_ms,omitempty"` // so far, where it is not over
	Late     bool     `json:"late,omitempty"`    // the caller had given up
	Servers  []string `json:"servers,omitempty"` // program:pid @ host
	Failure  string   `json:"failure,omitempty"` // class: message
	Reply    int      `json:"reply_size,omitempty"`
}

// A printer shows requests.
type printer struct {
	app    *app
	ear    *ear
	flags  tailFlags
	topics []string
	grep   *regexp.Regexp
	shown  int
	headed bool
}

// means says whether the flags choose a request.
func (p *printer) means(r tap.Request) bool {
	if len(p.flags.methods) > 0 && !slices.ContainsFunc(p.flags.methods, func(pattern string) bool {
		name, _ := path.Match(pattern, r.Method.Name)
		full, _ := path.Match(pattern, r.Method.String())
		return name || full
	}) {
		return false
	}
	return !p.ear.traced || tap.Means(p.topics, r.Target) // a tap is bound with no other topics
}

// request is r as it is shown. Who sent a call is known by who reads its replies.
func (p *printer) request(ctx context.Context, r tap.Request) tailed {
	t := tailed{
		Time: r.Time.UTC(), Kind: r.Kind, Target: tailedTarget(r.Target), Method: r.Method.Name, Namespace: r.Method.Namespace, Version: r.Method.Version,
		RequestID: r.Origin.RequestID, GlobalRequestID: r.Origin.GlobalID, Project: r.Origin.Project, User: r.Origin.User, Size: r.Size, ID: r.IDs.Message,
	}
	if p.flags.args || p.flags.grep != "" {
		t.Args = mask.JSON(r.Args)
	}
	if r.Unanswered {
		t.Outcome = &outcome{State: stateUntold}
	}
	if r.IDs.ReplyTo != "" {
		if who, ok := p.ear.people.Reader(ctx, r.IDs.ReplyTo); ok {
			t.Caller = who.String()
		}
	}
	return t
}

// span shows a span, unless it was not slow enough.
func (p *printer) span(ctx context.Context, s *tap.Span) error {
	now := time.Now()
	if s.Took(now) < time.Duration(p.flags.slow) {
		return nil
	}
	t := p.request(ctx, s.Request)
	if who := p.ear.people.Connection(ctx, s.Caller); who.Connection != "" {
		t.Caller = who.String()
	}
	t.Outcome = p.ear.outcomeOf(ctx, s, now)
	return p.show(ctx, t)
}

// outcomeOf says what became of a request until now.
func (e *ear) outcomeOf(ctx context.Context, s *tap.Span, now time.Time) *outcome {
	o := &outcome{State: stateTaken, Late: s.Late()}
	queue, taken := s.Wait(now)
	run, answered := s.Run(now)
	back, arrived := s.Return()
	switch {
	case len(s.Queues) == 0 && !taken:
		o.State = stateNobody
		return o
	case !taken:
		o.State = stateWaiting
	case s.Kind != tap.Call:
	case !answered:
		o.State = stateRunning
	case s.Reply.Lost:
		o.State = stateReplyLost
	case !arrived:
		o.State = stateReturning
	case s.Reply.Failure != nil:
		o.State = stateFailed
	default:
		o.State = stateAnswered
	}
	ms := func(d time.Duration) *float64 { v := milliseconds(d); return &v }
	o.QueueMS, o.TookMS = ms(queue), ms(s.Took(now))
	if run > 0 || answered {
		o.RunMS = ms(run)
	}
	if arrived {
		o.ReturnMS = ms(back)
	}
	for _, t := range s.Taken {
		if who := e.people.Connection(ctx, t.By).String(); !slices.Contains(o.Servers, who) {
			o.Servers = append(o.Servers, who)
		}
	}
	if s.Reply != nil {
		o.Reply = s.Reply.Size
		if f := s.Reply.Failure; f != nil {
			o.Failure = strings.TrimPrefix(f.Module+"."+f.Class+": ", ".") + shorten(mask.Text(f.Message))
		}
	}
	return o
}

// show prints a request, if it is to be, and says when that was enough.
func (p *printer) show(_ context.Context, t tailed) error {
	line := t.line(screen{})
	if p.flags.grep != "" && !p.grep.MatchString(line) && !p.grep.Match(t.Args) {
		return nil
	}
	if !p.flags.args {
		t.Args = nil
	}
	if p.app.json {
		if err := p.app.printLine(t); err != nil {
			return err
		}
	} else {
		s := p.app.screen()
		line = t.line(s)
		if !p.headed {
			p.headed = true
			line = tailedHead(s) + "\n" + line
		}
		if len(t.Args) > 0 {
			line += "\n    " + plain(string(t.Args))
		}
		if _, err := fmt.Fprintln(p.app.Out, line); err != nil {
			return err
		}
	}
	if p.shown++; p.shown == p.flags.count {
		return errEnough
	}
	return nil
}

const (
	tailedFormat = "%-12s  %-6s  %-20s  %-24s"
	originFormat = "%8s  %-40s  %-8s  %-8s  %s"
)

// tailedHead is above the lines.
func tailedHead(s screen) string {
	return s.join(fmt.Sprintf(tailedFormat, "TIME", "KIND", "TARGET", "METHOD"), fmt.Sprintf(originFormat, "SIZE", "REQUEST", "PROJECT", "USER", "FROM"), "")
}

// join puts parts on a line, or, on a terminal that is too narrow, each on one of its own. Empty ones are left out.
func (s screen) join(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	line := strings.Join(parts, "  ")
	if !s.terminal || utf8.RuneCountInString(line) <= s.width {
		return line
	}
	return strings.Join(parts, "\n"+strings.Repeat(" ", 14))
}

// line is t for people, on one line where it fits.
func (t tailed) line(s screen) string {
	method := plain(strings.TrimSpace(tap.Method{Namespace: t.Namespace, Name: t.Method}.String() + " " + t.Version))
	what := fmt.Sprintf(tailedFormat, t.Time.Local().Format("15:04:05.000"), t.Kind, plain(tap.Target(t.Target).String()), method)
	origin := fmt.Sprintf(originFormat, size(operator.Count(t.Size)), plain(cmp.Or(t.RequestID, "-")), plain(brief(t.Project)), plain(brief(t.User)), plain(cmp.Or(t.Caller, "-")))
	became := ""
	if t.Outcome != nil {
		became = plain(t.Outcome.String())
		switch t.Outcome.State {
		case stateFailed, stateNobody, stateReplyLost, stateUntold:
			became = s.paint(red, became)
		case stateWaiting, stateRunning, stateReturning:
			became = s.paint(yellow, became)
		}
	}
	return s.join(what, origin, became)
}

// brief is the beginning of an id.
func brief(id string) string {
	if len(id) > 8 {
		return strings.ToValidUTF8(id[:8], "")
	}
	return cmp.Or(id, "-")
}

// String is the outcome for people.
func (o *outcome) String() string {
	var b strings.Builder
	switch o.State {
	case stateUntold:
		return "its queue is gone, and its sender may not know"
	case stateNobody:
		return "NOBODY: no queue was there for it"
	case stateFailed:
		b.WriteString("FAILED " + o.Failure)
	case stateAnswered:
		b.WriteString("ok")
	default:
		b.WriteString(strings.ToUpper(o.State))
	}
	for _, part := range []struct {
		name string
		ms   *float64
	}{{"in", o.TookMS}, {"queue", o.QueueMS}, {"run", o.RunMS}, {"reply", o.ReturnMS}} {
		if part.ms != nil {
			fmt.Fprintf(&b, "  %s %s", part.name, span(*part.ms))
		}
	}
	if o.Late {
		b.WriteString("  LATE: the caller had given up")
	}
	if len(o.Servers) > 0 {
		b.WriteString("  by " + strings.Join(o.Servers, ", "))
	}
	return b.String()
}

// span is a time in milliseconds for people.
func span(ms float64) string {
	switch d := time.Duration(ms * float64(time.Millisecond)); {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", ms)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
}

package chaos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/interop"
)

// pythons are the peers on the real oslo.messaging: a program with clients and one with a server.
type pythons struct {
	t              *testing.T
	url            string
	client, server *interop.Python
	requests       []request
	executions     []execution
	read           int // how many of the executions are this server's, and not an earlier one's
}

func newPythons(t *testing.T, url string) *pythons {
	t.Helper()
	p := &pythons{t: t, url: url}
	p.client = startPython(t)
	p.serve()
	return p
}

func startPython(t *testing.T) *interop.Python {
	t.Helper()
	started, err := interop.Start("load.py")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(started.Stop)
	return started
}

func (p *pythons) serve() {
	p.server, p.read = startPython(p.t), 0
	p.server.Do(p.t, "serve", map[string]any{"url": p.url, "topic": python.topic(), "server": serverName}, nil)
}

func (p *pythons) version() (oslo string) {
	p.client.Do(p.t, "version", nil, &oslo)
	return oslo
}

// serveAnew starts the server anew, which takes what waits in its queues.
func (p *pythons) serveAnew() {
	p.readExecutions()
	p.server.Stop()
	p.serve()
}

func (p *pythons) stop() {
	p.client.Stop()
	p.server.Stop()
}

func (p *pythons) load(run string, at rates, timeout time.Duration) {
	for _, q := range pairs {
		if q.client != python {
			continue
		}
		p.client.Do(p.t, "load", map[string]any{
			"url": p.url, "pair": q.String(), "topic": q.server.topic(), "server": serverName, "run": run, "timeout": timeout.Seconds(),
			"calls": at.calls, "casts": at.casts, "fanouts": at.fanouts,
		}, nil)
	}
}

func (p *pythons) unload() { p.client.Do(p.t, "unload", nil, nil) }

// records adds what belongs to the run to the ledger.
func (p *pythons) records(run string, l *ledger) {
	var open, ended [][]any
	// Those that are open first: one that ends in between is found among the ended, which count.
	p.client.Do(p.t, "open", nil, &open)
	p.client.Do(p.t, "ended", map[string]any{"from": len(p.requests)}, &ended)
	for _, e := range ended {
		p.requests = append(p.requests, fromPython(e))
	}
	p.readExecutions()
	done := map[string]bool{}
	for _, r := range p.requests {
		if strings.HasPrefix(r.key, run+"/") {
			done[r.key] = true
			l.requests = append(l.requests, r)
		}
	}
	for _, e := range open {
		if r := fromPython(e); strings.HasPrefix(r.key, run+"/") && !done[r.key] {
			l.requests = append(l.requests, r)
		}
	}
	for _, e := range p.executions {
		if strings.HasPrefix(e.key, run+"/") {
			l.executions = append(l.executions, e)
		}
	}
}

func (p *pythons) readExecutions() {
	var executed [][]any
	p.server.Do(p.t, "executed", map[string]any{"from": p.read}, &executed)
	p.read += len(executed)
	for _, e := range executed {
		p.executions = append(p.executions, execution{e[0].(string), seconds(e[1])})
	}
}

// fromPython reads a row of the orders open and ended.
func fromPython(members []any) request {
	r := request{pair: members[0].(string), key: members[1].(string), kind: kind(members[2].(string)), began: seconds(members[3])}
	if len(members) > 4 {
		r.ended, r.failure = seconds(members[4]), members[5].(string)
	}
	return r
}

func seconds(v any) time.Time { return time.UnixMicro(int64(v.(float64) * 1e6)) }

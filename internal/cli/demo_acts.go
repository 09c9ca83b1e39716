package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// An act is one scene of the story: HTTP requests, and the hops that must be seen.
type act struct {
	title    string
	requests []httpRequest
	hops     []hop
	moral    string
}

// An httpRequest is sent once the hops of the act that it waits for were seen.
type httpRequest struct {
	after              []hop
	method, path, body string
	status             int
	answer             string // a part of the answer's body
}

// actTimeout is how long an act may take; in truth none takes a second.
const actTimeout = 15 * time.Second

var migrated = []hop{
	{From: "api", To: "conductor", Kind: "cast", What: "live_migrate_instance"},
	{From: "conductor", To: "scheduler", Kind: "call", What: "select_destinations"},
	{From: "scheduler", To: "conductor", Kind: "reply", What: `{"host":"cmp-2"}`},
	{From: "conductor", To: "cmp-1", Kind: "cast", What: "live_migration"},
	{From: "cmp-1", To: "cmp-2", Kind: "call", What: "pre_live_migration"},
	{From: "cmp-2", To: "cmp-1", Kind: "reply"},
	{From: "cmp-1", To: "cmp-2", Kind: "call", What: "post_live_migration_at_destination"},
	{From: "cmp-1", To: "conductor", Kind: "call", What: "update_instance"},
	{From: "conductor", To: "cmp-1", Kind: "reply"},
}

var acts = []act{
	{
		title: "A live migration: the API answers at once, and the work goes on behind it",
		requests: []httpRequest{
			{
				method: http.MethodPost, path: "/v1/servers/vm-1/action", body: `{"os-migrateLive": {"host": null}}`,
				status: http.StatusAccepted,
			},
			{after: migrated, method: http.MethodGet, path: "/v1/servers/vm-1", status: http.StatusOK, answer: `"host":"cmp-2","status":"ACTIVE"`},
		},
		hops: append([]hop{
			{From: "api", To: "conductor", Kind: "call", What: "get_instance"},
			{From: "conductor", To: "api", Kind: "reply"},
			{From: "api", To: "you", Kind: "202"},
		}, migrated...),
		moral: "vm-1 runs on cmp-2",
	},
	{
		title:    "A call: ask one host out of two, and wait for what it says",
		requests: []httpRequest{{method: http.MethodGet, path: "/v1/os-hypervisors/cmp-2/uptime", status: http.StatusOK, answer: "cmp-2 up"}},
		hops: []hop{
			{From: "api", To: "cmp-2", Kind: "call", What: "get_host_uptime"},
			{From: "cmp-2", To: "api", Kind: "reply", What: `"cmp-2 up`},
			{From: "api", To: "you", Kind: "200"},
		},
		moral: "cmp-2 answered, and cmp-1 knows nothing of it",
	},
	{
		title:    "A fanout: tell every host, and wait for none",
		requests: []httpRequest{{method: http.MethodPost, path: "/v1/images/debian-13/cache", status: http.StatusAccepted}},
		hops: []hop{
			{From: "api", To: "cmp-1", Kind: "fanout", What: "cache_images"},
			{From: "api", To: "cmp-2", Kind: "fanout", What: "cache_images"},
			{From: "api", To: "you", Kind: "202"},
		},
		moral: "both hosts have it",
	},
	{
		title:    "A remote failure: the method fails over there, with a class that Python knows too",
		requests: []httpRequest{{method: http.MethodGet, path: "/v1/servers/nosuch", status: http.StatusNotFound, answer: "itemNotFound"}},
		hops: []hop{
			{From: "api", To: "conductor", Kind: "call", What: "get_instance"},
			{From: "conductor", To: "api", Kind: "failure", What: "nova.exception.InstanceNotFound"},
			{From: "api", To: "you", Kind: "404"},
		},
		moral: "errors.Is(err, computeapi.InstanceNotFound) made it a 404",
	},
	{
		title:    "A call to nobody: known at once, not after a minute",
		requests: []httpRequest{{method: http.MethodGet, path: "/v1/os-hypervisors/cmp-9/uptime", status: http.StatusServiceUnavailable, answer: "nobody listens"}},
		hops: []hop{
			{From: "api", To: "cmp-9", Kind: "nobody", What: "get_host_uptime"},
			{From: "api", To: "you", Kind: "503"},
		},
		moral: "there is no cmp-9, and nobody had to wait to learn it",
	},
}

// A demoError is an act that did not go as it should.
type demoError struct {
	act   string
	cause error
}

func (e *demoError) Error() string { return fmt.Sprintf("demo: %s: %v", e.act, e.cause) }
func (e *demoError) Unwrap() error { return e.cause }

// tell plays all acts, and ends at the first that does not go as it should.
func (c *cloud) tell(ctx context.Context, t *trace) error {
	for _, act := range acts {
		t.begin(act.title)
		if err := c.play(ctx, t, &act); err != nil {
			return &demoError{act.title, err}
		}
		if !c.app.json {
			if _, err := fmt.Fprintf(c.app.Out, "%14s%s\n", "=> ", act.moral); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cloud) play(ctx context.Context, t *trace, a *act) error {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	for _, r := range a.requests {
		if err := t.wait(ctx, r.after); err != nil {
			return err
		}
		if err := c.send(ctx, &r); err != nil {
			return t.because(err)
		}
	}
	return t.wait(ctx, a.hops)
}

// send sends a request to the API as curl would, and compares the answer.
func (c *cloud) send(ctx context.Context, r *httpRequest) error {
	request, err := http.NewRequestWithContext(ctx, r.method, c.url+r.path, strings.NewReader(r.body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Close = true // no idle connection to wait for at the end
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	if response.StatusCode != r.status || !strings.Contains(string(body), r.answer) {
		return fmt.Errorf("%s %s was answered with %s %q, not with %d and %q", r.method, r.path, response.Status, body, r.status, r.answer)
	}
	return nil
}

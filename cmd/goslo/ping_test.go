package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/cloudtest"
	"github.com/goslo/goslo/internal/operator"
)

// called is what ping --all --json says of a server, less times and addresses.
type called struct {
	Server, State   string
	Owner           string // program:pid
	Consumers       int
	Unacked         operator.Count
	Expected, Timed bool
}

func calledOf(t *testing.T, text string) (all []called, summary map[string]int, unseen []string) {
	t.Helper()
	var r struct {
		Topic   string
		Servers []struct {
			called
			RTTMS float64 `json:"rtt_ms"`
			Owner *struct {
				Program string
				PID     int
			}
		}
		Summary map[string]int
		Unseen  []string
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, s := range r.Servers {
		c := s.called
		c.Timed = s.RTTMS > 0
		if s.Owner != nil {
			c.Owner = fmt.Sprintf("%s:%d", s.Owner.Program, s.Owner.PID)
		}
		all = append(all, c)
	}
	return all, r.Summary, r.Unseen
}

// TestPingAllOfAPythonCloud has every server of it asked, well or not, and nothing changed by that, their logs included.
func TestPingAllOfAPythonCloud(t *testing.T) {
	t.Parallel()
	c := cloudtest.Shared(t)
	s := newShell(t).with("GOSLO_URL=" + c.URL)
	at := []string{"--management", c.Node.ManagementURL(), "--timeout", "20s", "--slow", "20s"}
	owner := func(process string) string {
		program, _, _ := strings.Cut(process, "@")
		return fmt.Sprintf("%s:%d", program, c.PID(process))
	}
	tests := []struct {
		args    []string
		code    int
		want    []called
		summary string
		text    string // a regular expression
	}{
		{
			[]string{"conductor", "--expect", "ctl-1"},
			0,
			[]called{
				{Server: "ctl-1", State: "ok", Owner: owner(cloudtest.Conductor1), Consumers: 1, Expected: true, Timed: true},
				{Server: "ctl-2", State: "ok", Owner: owner(cloudtest.Conductor2), Consumers: 1, Timed: true},
			},
			"2 ok",
			`SERVER +RTT  STATE  OWNER\nctl-1 +[0-9.]+m?s  ok +` + owner(cloudtest.Conductor1) + ` @ 127.0.0.1\nctl-2 .*\n`,
		},
		{
			[]string{"compute"},
			6,
			[]called{
				{Server: "cmp-1", State: "ok", Owner: owner(cloudtest.Compute1), Consumers: 1, Timed: true},
				{Server: "cmp-2", State: "deaf", Owner: owner(cloudtest.Compute2), Consumers: 1, Unacked: cloudtest.HeldCasts},
			},
			"1 ok, 1 deaf",
			`SERVER +RTT  STATE  OWNER\ncmp-1 .*\ncmp-2 +-  DEAF +` + owner(cloudtest.Compute2) + ` @ 127.0.0.1; holds 4 requests and takes none\n`,
		},
		{
			[]string{"cinder-volume", "--expect", "vol-1.example,vol-3.example"},
			6,
			[]called{
				{Server: "vol-1.example", State: "ok", Owner: owner(cloudtest.Volume1), Consumers: 1, Expected: true, Timed: true},
				{Server: "vol-2.example", State: "no-consumer"},
				{Server: "vol-3.example", State: "no-queue", Expected: true, Unacked: -1},
			},
			"1 ok, 1 without consumer, 1 missing",
			`SERVER +RTT  STATE +OWNER\nvol-1.example .*\nvol-2.example +-  NO CONSUMER  its queue is there, and nobody consumes from it\n` +
				`vol-3.example +-  NO QUEUE     it has not connected since the broker started, or its queue was\n +deleted\n`,
		},
	}
	c.Unchanged(t, func() {
		for _, test := range tests {
			args := append(append([]string{"ping", "--all"}, test.args...), at...)
			text := s.run(t, args...).want(t, test.code)
			if !regexp.MustCompile("^" + test.text + regexp.QuoteMeta(test.summary) + "\n$").MatchString(text.out) {
				t.Errorf("%v:\n%s\nwant %s%s", test.args, text.out, test.text, test.summary)
			}
			if text.err != "" && text.err != "goslo: watching servers that hold messages\n" { // that said when the machine is busy
				t.Errorf("%v: on standard error: %s", test.args, text.err)
			}
			got, summary, unseen := calledOf(t, s.run(t, append(args, "--json")...).want(t, test.code).out)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%v (-want +got)\n%s", test.args, diff)
			}
			total := 0
			for _, n := range summary {
				total += n
			}
			if total != len(test.want) || unseen == nil || len(unseen) != 0 {
				t.Errorf("%v: summary %v, unseen %q", test.args, summary, unseen)
			}
		}

		// Again and again, until it is interrupted; the exit code is that of the last time.
		p := s.start(t, append([]string{"ping", "compute", "--all", "--watch", "100ms", "--json"}, at...)...)
		for range 3 {
			if line := p.wait(t, `"topic":"compute"`); !strings.Contains(line, `"state":"deaf"`) {
				t.Error(line)
			}
		}
		if code, _ := p.end(t, syscall.SIGINT); code != 6 {
			t.Errorf("interrupted, it ends with exit code %d, want 6", code)
		}

		// Without the management API only those are seen that are named.
		off := []string{"--all", "--management", "off", "--timeout", "20s", "--exchange"}
		r := s.run(t, append([]string{"ping", "conductor", "--server", "ctl-1", "--expect", "ctl-2"}, append(off, "nova", "--json")...)...).want(t, 0)
		got, _, unseen := calledOf(t, r.out)
		if diff := cmp.Diff([]called{
			{Server: "ctl-1", State: "ok", Consumers: 1, Unacked: -1, Timed: true},
			{Server: "ctl-2", State: "ok", Consumers: 1, Unacked: -1, Expected: true, Timed: true},
		}, got); diff != "" || len(unseen) != 1 {
			t.Errorf("(-want +got)\n%s, unseen %q", diff, unseen)
		}
		r = s.run(t, append([]string{"ping", "cinder-volume", "--server", "vol-2.example", "--server", "vol-1.example"}, append(off, "nova")...)...).want(t, 6)
		if !strings.Contains(r.out, `exchange "nova" does not lead to it`) || !strings.HasSuffix(r.out, "0 ok, 1 unbound, 1 without consumer\n") || !strings.HasPrefix(r.err, "not seen: ") {
			t.Errorf("%s%s", r.out, r.err)
		}
		s.run(t, append([]string{"ping", "conductor"}, append(off, "nova")...)...).want(t, 2).wantErr(t, "name them with --server or --expect")

		s.run(t, append([]string{"ping", "conducter", "--all"}, at...)...).want(t, 3).wantErr(t, `did you mean "conductor"`)
		s.run(t, "ping", "compute/cmp-1", "--exchange", "nova").want(t, 0)
	})
}

// TestPingAllAsksNobodyOfUnknownVersion is about servers that might log an error, and about ours, which do not.
func TestPingAllAsksNobodyOfUnknownVersion(t *testing.T) {
	t.Parallel()
	c := cloudtest.Shared(t)
	vhost := c.Node.NewVhost(t)
	s := newShell(t).with("GOSLO_URL=" + c.Node.URLVhost(vhost))
	s.start(t, "serve", "warehouse", "--server", "wh-1").wait(t, "ready")
	off := []string{"ping", "warehouse", "--all", "--server", "wh-1", "--management", "off"}
	r := s.run(t, off...).want(t, 2)
	if !strings.Contains(r.out, "not asked") || !strings.HasSuffix(r.out, "0 ok, 1 not asked\n") {
		t.Error(r.out)
	}
	r.wantErr(t, "give it with --version")
	s.run(t, append(off, "--version", "1.0")...).want(t, 0)
	brokertest.Await(t, "the management API knows that it is ours", func() bool {
		return s.run(t, "ping", "warehouse", "--all", "--management", c.Node.ManagementURL()).code == 0
	})
}

func TestPingFlags(t *testing.T) {
	t.Parallel()
	s := newShell(t).with("GOSLO_URL=rabbit://127.0.0.1:1/")
	s.run(t, "ping", "lab", "--expect", "a").want(t, 2).wantErr(t, "--expect has a meaning with --all only")
	s.run(t, "ping", "lab/a", "--all").want(t, 2).wantErr(t, `"lab/a" names a server, and --all asks all`)
	s.run(t, "ping", "lab", "--all", "--expect", "/nosuch/file").want(t, 2).wantErr(t, "read --expect")
	s.run(t, "ping", "lab", "--all", "--expect", ",").want(t, 2).wantErr(t, "names no server")
	s.run(t, "ping", "lab", "--all", "--url", "nats://127.0.0.1:1").want(t, 2)
}

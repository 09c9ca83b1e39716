package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/cloudtest"
)

// TestWhy has the cloud for itself, as others would change what is compared.
func TestWhy(t *testing.T) {
	c := cloudtest.Shared(t)
	at := []string{"why", "--url", c.URL, "--management", c.Node.ManagementURL()}
	timeout := "oslo_messaging.exceptions.MessagingTimeout: Timed out waiting for a reply " + c.ReplyQueue(t, cloudtest.API) + " to message ID b04a7a0a"
	var said string
	c.Unchanged(t, func() {
		r := newShell(t).runWith(t, timeout+"\n"+c.Log(t, cloudtest.Conductor1), append(at, "--json")...).want(t, 0)
		said = r.out
	})
	var e struct {
		Explained []struct {
			Symptom, Cause, Likely, Next string
			Now                          []struct{ About, Text string }
			Owners                       []struct {
				Program string
				PID     int
			}
		}
		Unknown, Unseen []string
	}
	if err := json.Unmarshal([]byte(said), &e); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if len(e.Unknown)+len(e.Unseen) > 0 || len(e.Explained) < 2 {
		t.Fatalf("unknown %q, unseen %q, %d explained; want all lines of %s's log known", e.Unknown, e.Unseen, len(e.Explained), cloudtest.Conductor1)
	}
	call := e.Explained[0]
	if len(call.Owners) != 1 || call.Owners[0].PID != c.PID(cloudtest.API) || call.Owners[0].Program != "nova-api" {
		t.Errorf("the caller is %+v, want nova-api, process %d", call.Owners, c.PID(cloudtest.API))
	}
	var callee string
	for _, now := range call.Now {
		if now.About == "callee" {
			callee = now.Text
		}
	}
	if !strings.Contains(callee, "compute.cmp-2 (deaf)") || !strings.Contains(callee, "cinder-volume.vol-2.example (nobody reads it)") || strings.Contains(callee, "cmp-1") {
		t.Errorf("callee: %q, want those that do not answer, and nobody else", callee)
	}
	lost := e.Explained[1]
	if lost.Symptom != "unreachable" || lost.Cause != "consumer-cancel" || len(lost.Now) == 0 || lost.Now[0].About != "connection" ||
		!strings.Contains(lost.Now[0].Text, "nova-conductor:"+strconv.Itoa(c.PID(cloudtest.Conductor1))) {
		t.Errorf("the reply queue that was deleted: %+v, want a consumer that the broker ended, and whose connection that is", lost)
	}
}

func TestWhyAsText(t *testing.T) {
	t.Parallel()
	c := cloudtest.Shared(t)
	s := newShell(t)
	line := "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'nova' in vhost '" + c.Vhost + "': received 'true' but current is 'false'"
	r := s.run(t, "why", "--url", c.URL, "--management", c.Node.ManagementURL(), line).want(t, 0)
	for _, text := range []string{"exchange    nova is a transient exchange of type topic\n", "do          goslo plan quorum\n"} {
		if !strings.Contains(r.out, text) {
			t.Errorf("standard output lacks %q:\n%s", text, r.out)
		}
	}
	r = s.run(t, "why", "--url", c.URL, "--management", "off", "reply_"+strings.Repeat("0", 32)+" doesn't exist, drop reply to m1").want(t, 0)
	if !strings.Contains(r.out, "does not exist now") {
		t.Errorf("without the management API: %s", r.out)
	}
	r.wantErr(t, "not seen: ")
}

func TestWhyWithoutABus(t *testing.T) {
	t.Parallel()
	s := newShell(t).with("GOSLO_URL=")
	r := s.run(t, "why", "Connection pool limit exceeded: current size 30 surpasses max configured rpc_conn_pool_size 30").want(t, 0)
	if !strings.Contains(r.out, "all connections for sending are in use") {
		t.Errorf("%s", r.out)
	}
	r.wantErr(t, "no bus was named")
	r = s.run(t, "why", "--json", "Instance spawned\tsuccessfully.  ", "Possible hang: x").want(t, 1)
	if !strings.Contains(r.out, `"unknown":["Instance spawned\tsuccessfully.  "]`) || !strings.Contains(r.out, `"symptom":"possible-hang"`) {
		t.Errorf("%s; want the line that is not known as it was, and the other explained", r.out)
	}
	s.run(t, "why", "--url", "rabbit://127.0.0.1:1/", "Possible hang: x").want(t, 0).wantErr(t, "not seen: what has become of them by now: rabbit: connect to 127.0.0.1:1")
	r = s.run(t, "why", "bad URL rabbit://openstack:hunter2@h/").want(t, 1)
	if strings.Contains(r.out+r.err, "hunter2") || !strings.Contains(r.out, "not known: bad URL rabbit://openstack:***@h/\n") {
		t.Errorf("%s; want the line without its password", r.out)
	}
	for _, json := range []string{"--json=false", "--json"} {
		r = s.run(t, "why", json, "Possible hang: password=hunter2 'auth_token': 'hunter2' \x1b]0;x\a", "what is \x1b[31m").want(t, 1)
		if strings.Contains(r.out, "hunter2") || strings.ContainsAny(r.out, "\x1b\a") || !strings.Contains(r.out, "password=***") || !strings.Contains(r.out, `\u001b[31m`) {
			t.Errorf("%q; want the lines without passwords, and nothing that plays with the terminal", r.out)
		}
	}
	s.run(t, "why").want(t, 2).wantErr(t, "there is no line")
}

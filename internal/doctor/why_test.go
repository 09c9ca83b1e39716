package doctor_test

import (
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/doctor"
	"github.com/goslo/goslo/internal/logline"
	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/probe"
)

func TestEverythingThatLinesSayHasAMeaning(t *testing.T) {
	t.Parallel()
	for _, s := range logline.Symptoms() {
		if x := doctor.Explain(&doctor.Facts{}, logline.Found{Event: logline.Event{Symptom: s}}); x.What == "" || x.Likely == "" || x.Next == "" {
			t.Errorf("symptom %s: what %q, likely %q, next %q", s, x.What, x.Likely, x.Next)
		}
	}
	for _, c := range logline.Causes() {
		if x := doctor.Explain(&doctor.Facts{}, logline.Found{Event: logline.Event{Cause: c}}); x.What == "" || x.Likely == "" || x.Next == "" {
			t.Errorf("cause %s: what %q, likely %q, next %q", c, x.What, x.Likely, x.Next)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	const (
		reply   = "reply_" + hex
		timeout = "Timed out waiting for a reply " + reply + " to message ID m1"
		trace   = `  File "/usr/lib/python3/dist-packages/nova/compute/rpcapi.py", line 12, in get_diagnostics` + "\n"
	)
	gone := func(f *doctor.Facts) { f.View.Queues = f.View.Queues[:4] }
	for _, test := range []struct {
		name   string
		log    string
		breaks func(*doctor.Facts)
		says   []string // "label: text", or likely or next
	}{
		{"everybody is well", timeout, nil, []string{"caller: " + reply + " is read by nova-api:2214 @ 10.0.0.5", "callee: all 1 servers that were asked answer now", "longer than rpc_response_timeout"}},
		{"the callee is deaf", timeout, func(f *doctor.Facts) { f.Probes[0].State = probe.Deaf }, []string{"callee: of the servers these do not answer now: compute.cmp-042 (deaf)", "one of these was called"}},
		{"the callee is away", timeout, func(f *doctor.Facts) {
			f.Probes = nil
			q := f.View.Queue("compute.cmp-042")
			q.Consumers, q.Readers = 0, nil
		}, []string{"compute.cmp-042 (nobody reads it)"}},
		{"the caller is gone", timeout, gone, []string{"caller: " + reply + " does not exist now", "cannot reach it"}},
		{"the caller hears nothing", timeout, func(f *doctor.Facts) { q := f.View.Queue(reply); q.Consumers, q.Readers = 0, nil }, []string{"is there, and nobody reads it", "has ended"}},
		{"a traceback", trace + timeout, nil, []string{"the traceback leads through get_diagnostics (nova/compute/rpcapi.py:12)", "servers of compute"}},
		{"nobody was asked", timeout, func(f *doctor.Facts) { f.Probes, f.Why = nil, map[string]string{"probes": "not wanted"} }, []string{"nobody was asked: not wanted"}},
		{
			"by process id", "2026-11-21 03:13:07.101 2214 ERROR oslo Timed out waiting for a reply to message ID m1", nil,
			[]string{"process: nova-compute:2214 @ 10.0.0.42 is connected", "process: nova-api:2214 @ 10.0.0.5 is connected, and reads replies from " + reply},
		},
		{"by process id, gone", "2026-11-21 03:13:07.101 77 ERROR oslo The broker has blocked the connection: low on memory", nil, []string{"no connection of a process 77"}},
		{"a reply that nobody reads", reply + " doesn't exist, drop reply to m1", gone, []string{"does not exist now", "its queue expired"}},
		{"a reply whose queue is back", reply + " doesn't exist, drop reply to m1", nil, []string{"has made the queue again"}},
		{
			"a managed name tells", "reply_ctl-1:nova-conductor:3 doesn't exist, drop reply to m1", nil,
			[]string{"reply_ctl-1:nova-conductor:3 does not exist now (by its name it is nova-conductor's on ctl-1)"},
		},
		{
			"a connection that is back", "[2314a169-5b5c-4e0e-9d5a-6f1d2c3b4a59] AMQP server on 10.0.0.9:5672 is unreachable: Basic.cancel: (0) 1. Trying again in 1 seconds.",
			func(f *doctor.Facts) {
				f.View.Connections[1].Client.ConnectionName = "nova-api:2214:2314a169-5b5c-4e0e-9d5a-6f1d2c3b4a59"
			},
			[]string{"connection: it is there now: nova-api:2214 @ 10.0.0.5", "the broker was reachable all the time", "the queue was deleted, expired"},
		},
		{
			"a connection that is not", "[2314a169-5b5c-4e0e-9d5a-6f1d2c3b4a59] AMQP server on 10.0.0.9:5672 is unreachable: timed out. Trying again in 1 seconds.", nil,
			[]string{"is not there now", "overloaded"},
		},
		{
			"an exchange that differs", "inequivalent arg 'durable' for exchange 'nova' in vhost '/nova': received 'false' but current is 'true'", nil,
			[]string{"exchange: nova is a durable exchange of type topic", "1 process use it as it is: nova-compute:2214", "asked for with durable = 'false', and it has 'true'", "goslo plan quorum"},
		},
		{
			"a queue that differs", "inequivalent arg 'x-queue-type' for queue 'compute' in vhost '/nova': received the value 'quorum' of type 'longstr' but current is none", nil,
			[]string{"queue: compute is durable classic, read by nova-compute:2214", "goslo plan quorum"},
		},
		{"of another virtual host", "NOT_FOUND - no queue 'x' in vhost '/'", nil, []string{"x is in virtual host /, and this is /nova"}},
		{"a queue that is gone", "NOT_FOUND - no queue 'x' in vhost '/nova'", nil, []string{"queue: x does not exist now"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			read, err := logline.Read(strings.NewReader(test.log))
			if err != nil || len(read.Events) != 1 {
				t.Fatalf("%v, %d events", err, len(read.Events))
			}
			facts := healthy()
			if test.breaks != nil {
				test.breaks(facts)
			}
			x := doctor.Explain(facts, read.Events[0])
			text := x.What + "\n" + x.Likely + "\n" + x.Next + "\n"
			for _, now := range x.Now {
				text += now.About + ": " + now.Text + "\n"
			}
			for _, want := range test.says {
				if !strings.Contains(text, want) {
					t.Errorf("it does not say %q, but\n%s", want, text)
				}
			}
		})
	}
}

func TestWhatIsLookedForExplanations(t *testing.T) {
	t.Parallel()
	read, err := logline.Read(strings.NewReader("reply_x doesn't exist, drop reply to m1\nNOT_FOUND - no queue 'y' in vhost '/'\nFailed to publish message to topic 'z': Socket closed\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(doctor.NamesIn(read.Events), " "); got != "reply_x y z" {
		t.Errorf("names %q, want reply_x y z", got)
	}
	if got := doctor.ChecksFor(read.Events); len(got) != 1 {
		t.Errorf("checks %v: nothing here wants servers to be asked", got)
	}
	x := doctor.Explain(&doctor.Facts{View: &operator.View{Connections: []management.Connection{}}}, read.Events[0])
	if len(x.Now) != 1 || x.Now[0].Text != "reply_x does not exist now" {
		t.Errorf("without lists: %+v, want the queue that was asked for", x.Now)
	}
}

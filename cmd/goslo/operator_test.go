package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/cloudtest"
)

// An operatorShell runs goslo against the shared cloud, with the management API and, as bare, without.
type operatorShell struct {
	*shell

	cloud *cloudtest.Cloud
}

func operate(t *testing.T) operatorShell {
	t.Helper()
	c := cloudtest.Shared(t)
	return operatorShell{newShell(t).with("GOSLO_URL=" + c.URL), c}
}

// look runs a command that must change nothing.
func (o operatorShell) look(t *testing.T, args ...string) result {
	t.Helper()
	return o.bare(t, append(args, "--management", o.cloud.Node.ManagementURL())...)
}

func (o operatorShell) bare(t *testing.T, args ...string) (r result) {
	t.Helper()
	o.cloud.Unchanged(t, func() { r = o.run(t, args...) })
	return r
}

// decode reads the one document that a command printed.
func decode[T any](t *testing.T, r result) T {
	t.Helper()
	var v T
	if strings.Count(r.out, "\n") != 1 {
		t.Errorf("it is not one line: %s", r.out)
	}
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatalf("%v: %s", err, r.out)
	}
	return v
}

// wantLines wants lines of standard output that have all of these words, in this order.
func (r result) wantLines(t *testing.T, lines ...string) {
	t.Helper()
	for _, want := range lines {
		found := false
		for line := range strings.Lines(r.out) {
			found = found || strings.Contains(" "+strings.Join(strings.Fields(line), " ")+" ", " "+want+" ")
		}
		if !found {
			t.Errorf("no line with %q in:\n%s", want, r.out)
		}
	}
}

type jsonOwner struct {
	Program, Host, Client, User string
	PID                         int
	Connected                   time.Time
	Serves                      []string
}

type jsonQueue struct {
	Name, Kind, Topic, Server string
	Ready, Unacked, Consumers *int
	Declared                  struct {
		Type    string
		Durable bool
	}
	Readers []struct {
		Owner    jsonOwner
		Ack      bool
		Prefetch int
	}
	AlsoConsumes []string `json:"also_consumes"`
	Says         string
}

// owner is the first consumer's process, as program:pid.
func (q jsonQueue) owner() string {
	if len(q.Readers) == 0 {
		return ""
	}
	o := q.Readers[0].Owner
	return fmt.Sprintf("%s:%d", o.Program, o.PID)
}

// process is a process of the cloud, as program:pid.
func (o operatorShell) process(name string) string {
	program, _, _ := strings.Cut(name, "@")
	return fmt.Sprintf("%s:%d", program, o.cloud.PID(name))
}

func TestLs(t *testing.T) {
	t.Parallel()
	o := operate(t)
	type listed struct {
		Vhost, Version string
		Topics         []struct {
			Name, Exchange string
			Queue          jsonQueue
			Servers        []struct {
				Name    string
				Queue   jsonQueue
				Fanouts []jsonQueue
			}
		}
		Notifications []jsonQueue
		Replies       int
		Others        []string
		Unseen        []string
	}
	l := decode[listed](t, o.look(t, "ls", "--json").want(t, 0))
	var got []string
	for _, topic := range l.Topics {
		got = append(got, fmt.Sprintf("%s on %s: %d consumers", topic.Name, topic.Exchange, *topic.Queue.Consumers))
		for _, s := range topic.Servers {
			got = append(got, fmt.Sprintf("%s: %d consumers, %d fanouts, %d held, %s", s.Name, *s.Queue.Consumers, len(s.Fanouts), *s.Queue.Unacked, s.Queue.owner()))
		}
	}
	want := []string{
		"cinder-volume on cinder: 1 consumers",
		"vol-1.example: 1 consumers, 1 fanouts, 0 held, " + o.process(cloudtest.Volume1),
		"vol-2.example: 0 consumers, 0 fanouts, 0 held, ",
		"compute on nova: 2 consumers",
		"cmp-1: 1 consumers, 1 fanouts, 0 held, " + o.process(cloudtest.Compute1),
		fmt.Sprintf("cmp-2: 1 consumers, 1 fanouts, %d held, %s", cloudtest.HeldCasts, o.process(cloudtest.Compute2)),
		"conductor on nova: 2 consumers",
		"ctl-1: 1 consumers, 1 fanouts, 0 held, " + o.process(cloudtest.Conductor1),
		"ctl-2: 1 consumers, 1 fanouts, 0 held, " + o.process(cloudtest.Conductor2),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("topics (-want +got):\n%s", diff)
	}
	if len(l.Notifications) != 1 || l.Notifications[0].Name != cloudtest.Notifications || *l.Notifications[0].Ready != cloudtest.Unread {
		t.Errorf("notifications: %+v", l.Notifications)
	}
	if l.Vhost != o.cloud.Vhost || !strings.HasPrefix(l.Version, "3.") || l.Replies != 4 || len(l.Others) != 0 || l.Unseen == nil || len(l.Unseen) != 0 {
		t.Errorf("got %+v", l)
	}
	text := o.look(t, "ls").want(t, 0)
	text.wantLines(t, "cmp-1 1 0 0 "+o.process(cloudtest.Compute1)+" @ 127.0.0.1", "vol-2.example 0 0 0 nobody", fmt.Sprintf("%s 0 %d 0 nobody", cloudtest.Notifications, cloudtest.Unread))
	if text.err != "" {
		t.Errorf("standard error: %s", text.err)
	}
	if one := decode[listed](t, o.look(t, "ls", "comp", "notif", "--json").want(t, 0)); len(one.Topics) != 1 || one.Topics[0].Name != "compute" || len(one.Notifications) != 1 {
		t.Errorf("the beginning of a name means %+v", one)
	}
	o.look(t, "ls", "compte").want(t, 3).wantErr(t, `did you mean "compute"?`)
}

// TestNamesAreCompleted is about what a shell asks for when somebody presses the tab key.
func TestNamesAreCompleted(t *testing.T) {
	t.Parallel()
	o := operate(t)
	for command, want := range map[string]string{"ls": "cinder-volume", "describe": "conductor", "who": "compute.cmp-2", "purge": cloudtest.Notifications, "drain-queue": "compute"} {
		got := o.run(t, "__complete", command, "--management", o.cloud.Node.ManagementURL(), "").want(t, 0)
		if !strings.Contains("\n"+got.out, "\n"+want+"\n") {
			t.Errorf("%s: no %s in %s", command, want, got.out)
		}
	}
}

// TestLsWithoutManagement is about what AMQP alone tells, and what is said of the rest.
func TestLsWithoutManagement(t *testing.T) {
	t.Parallel()
	o := operate(t)
	o.bare(t, "ls", "--management", "off").want(t, 5).wantErr(t, "cannot list queues", "--management off", "rabbitmq-plugins enable rabbitmq_management")
	o.bare(t, "ls", "--management", "http://127.0.0.1:1").want(t, 5).wantErr(t, "connection refused", "--management http://host:15672")
	named := o.bare(t, "ls", "compute", "compute.cmp-1", cloudtest.Notifications, "--management", "off").want(t, 0)
	named.wantErr(t, "not seen: other queues than those asked for, owners, types and bindings")
	named.wantLines(t, "compute 2 0 ?", "cmp-1 1 0 ? ?", fmt.Sprintf("%s 0 %d ? nobody", cloudtest.Notifications, cloudtest.Unread))
	got := decode[struct {
		Topics []struct{ Queue jsonQueue }
		Unseen []string
	}](t, o.bare(t, "ls", "compute", "--management", "off", "--json").want(t, 0))
	if len(got.Topics) != 1 || *got.Topics[0].Queue.Consumers != 2 || got.Topics[0].Queue.Unacked != nil || len(got.Unseen) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestLsWatches(t *testing.T) {
	t.Parallel()
	o := operate(t)
	o.cloud.Unchanged(t, func() {
		p := o.start(t, "ls", "--json", "--watch", "0.2", "--management", o.cloud.Node.ManagementURL())
		for range 3 {
			p.wait(t, `"topics"`)
		}
		if code, _ := p.end(t, syscall.SIGINT); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

// TestWatchingEndsWithItsOutput is about a disk that is full, where nobody sees what comes.
func TestWatchingEndsWithItsOutput(t *testing.T) {
	t.Parallel()
	o := operate(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	c := o.command(t, []string{"ls", "--watch", "0.2", "--management", o.cloud.Node.ManagementURL()})
	c.Stdout = full
	ended := make(chan error, 1)
	go func() { ended <- c.Run() }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("nobody noticed that nothing was written")
		}
	case <-time.After(30 * time.Second):
		t.Error("it goes on for nobody")
		_ = c.Process.Kill()
		t.Log(<-ended)
	}
}

// TestLsListens is about methods, which only those who listen know.
func TestLsListens(t *testing.T) {
	t.Parallel()
	o := operate(t)
	o.cloud.Unchanged(t, func() {
		p := o.start(t, "ls", "compute", "--methods", "5s", "--json", "--management", o.cloud.Node.ManagementURL())
		p.waitErr(t, "listening for 5s")
		o.cloud.Build(t, "cmp-1", 0, nil)
		o.cloud.Build(t, "cmp-1", 0, nil)
		code, rest := p.end(t, 0)
		got := decode[struct {
			Methods []struct {
				Topic, Method, Version, Kind string
				Count                        int
			}
		}](t, result{out: rest})
		if len(got.Methods) != 1 || code != 0 {
			t.Fatalf("exit code %d, methods %+v", code, got.Methods)
		}
		if m := got.Methods[0]; m.Topic != "compute" || m.Method != "sleep" || m.Version != "6.0" || m.Kind != "call" || m.Count != 2 {
			t.Errorf("got %+v", m)
		}
	})
	o.look(t, "ls", "--methods", "1s", "--watch", "1s").want(t, 2)
	o.look(t, "describe", "compute", "--methods", "0.1s").want(t, 0).wantLines(t, "nothing was asked for in 100ms")
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	o := operate(t)
	type described struct {
		Topic    string
		Exchange struct {
			Name, Type string
			Durable    *bool
		}
		Queues     []jsonQueue
		Guarantees []struct{ About, Says string }
		Unseen     []string
	}
	for topic, durable := range map[string]bool{"compute": false, "cinder-volume": true} {
		d := decode[described](t, o.look(t, "describe", topic, "--json").want(t, 0))
		if d.Exchange.Durable == nil || *d.Exchange.Durable != durable || d.Exchange.Type != "topic" {
			t.Errorf("%s: exchange %+v", topic, d.Exchange)
		}
		if len(d.Queues) != 5 {
			t.Errorf("%s: %d queues, want those of the topic, of two servers and two fanouts", topic, len(d.Queues))
		}
		for _, q := range d.Queues {
			if want := durable && q.Kind != "fanout"; q.Declared.Durable != want || q.Declared.Type != "classic" {
				t.Errorf("%s: %+v", q.Name, q.Declared)
			}
			for _, r := range q.Readers {
				if !r.Ack || r.Prefetch != 0 || !strings.HasPrefix(r.Owner.Client, "py-amqp") || r.Owner.Connected.IsZero() {
					t.Errorf("%s: %+v", q.Name, r)
				}
			}
		}
		storage := ""
		for _, g := range d.Guarantees {
			if g.About == "storage" {
				storage = g.Says
			}
		}
		if want := map[bool]string{false: "transient", true: "durable"}[durable]; !strings.HasPrefix(storage, want) {
			t.Errorf("%s: storage is %q", topic, storage)
		}
	}
	text := o.look(t, "describe", "compute").want(t, 0)
	text.wantLines(t, "topic compute, exchange nova (topic, transient)", "delivery at most once: oslo.messaging acknowledges a request before it runs,",
		"compute.cmp-2 server classic, transient never 1 no bound 0 4", "owner "+o.process(cloudtest.Compute2)+" @ 127.0.0.1, connected")
	o.look(t, "describe", "conducter").want(t, 3).wantErr(t, `did you mean "conductor"?`)
	o.bare(t, "describe", "compute", "--management", "off").want(t, 0).wantLines(t, "delivery not known: no consumer could be seen", "compute topic ? ? 2")
}

func TestWho(t *testing.T) {
	t.Parallel()
	o := operate(t)
	type found struct {
		Queues []jsonQueue
		Unseen []string
	}
	reply := o.cloud.ReplyQueue(t, cloudtest.Conductor1)
	for _, name := range []string{reply, reply[:14], reply[:14] + "..", reply[10:30]} {
		f := decode[found](t, o.look(t, "who", name, "--json").want(t, 0))
		if len(f.Queues) != 1 || f.Queues[0].Name != reply || f.Queues[0].owner() != o.process(cloudtest.Conductor1) {
			t.Fatalf("who %s: %+v", name, f)
		}
		q := f.Queues[0]
		want := []string{"conductor", "conductor.ctl-1", o.cloud.FanoutQueue(t, cloudtest.Conductor1)}
		if diff := cmp.Diff(want, q.AlsoConsumes); diff != "" {
			t.Errorf("what else it consumes from (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"conductor.ctl-1"}, q.Readers[0].Owner.Serves); diff != "" {
			t.Errorf("what it serves (-want +got):\n%s", diff)
		}
	}
	o.look(t, "who", reply).want(t, 0).wantLines(t, "owner "+o.process(cloudtest.Conductor1)+" @ 127.0.0.1, connected", "which also consumes from conductor conductor.ctl-1")
	o.look(t, "who", "compute_fanout").want(t, 0).wantLines(t, o.cloud.FanoutQueue(t, cloudtest.Compute1), "owner "+o.process(cloudtest.Compute2)+" @ 127.0.0.1, connected")
	o.look(t, "who", "cinder-volume.vol-2.example").want(t, 0).wantLines(t, "nobody consumes from it: server vol-2.example of topic cinder-volume is down or cut off;")
	o.look(t, "who", "reply_0000").want(t, 3).wantErr(t, "expired with its process")
	bare := o.bare(t, "who", reply, "--management", "off").want(t, 0)
	bare.wantLines(t, "it has 1 consumer, whose could not be seen")
	bare.wantErr(t, "not seen: other queues than those asked for, owners")
	o.bare(t, "who", reply[:14], "--management", "off").want(t, 3)
}

func TestOrphans(t *testing.T) {
	t.Parallel()
	o := operate(t)
	type found struct {
		Orphans []struct {
			Queue jsonQueue
			Keeps bool
			Stays bool
		}
		Deleted map[string]string
	}
	names := func(f found) map[string]bool {
		all := make(map[string]bool)
		for _, o := range f.Orphans {
			all[o.Queue.Name] = true
		}
		return all
	}
	f := decode[found](t, o.look(t, "orphans", "--json").want(t, 6))
	got := names(f)
	if len(got) != 2 || f.Deleted != nil {
		t.Fatalf("orphans: %+v", f)
	}
	for name := range got {
		if !strings.HasPrefix(name, "reply_") && !strings.HasPrefix(name, "cinder-volume_fanout_") {
			t.Errorf("%s is no orphan", name)
		}
	}
	f = decode[found](t, o.look(t, "orphans", "--servers", "--json").want(t, 6))
	if got := names(f); len(got) != 3 || !got["cinder-volume.vol-2.example"] {
		t.Errorf("with servers: %+v", f)
	}
	o.look(t, "orphans").want(t, 6).wantLines(t, "2 orphans, 0 messages, 0 B")
	o.look(t, "orphans", "--older", "24h").want(t, 0).wantLines(t, "no orphans in virtual host cloud")
	// Nobody is there to be asked.
	o.look(t, "orphans", "--delete").want(t, 6).wantErr(t, "nothing was done; to delete 2 queues, add --yes")
	o.bare(t, "orphans", "--management", "off").want(t, 5).wantErr(t, "cannot list queues")
	o.bare(t, "orphans", "--yes").want(t, 2)
}

// remains is a virtual host of one test's own, with queues that processes have left behind.
type remains struct {
	*shell

	node  *brokertest.RabbitNode
	vhost string
}

const (
	emptyOrphan = "reply_00000000000000000000000000000001"
	fullOrphan  = "compute_fanout_00000000000000000000000000000002"
)

func leave(t *testing.T) remains {
	t.Helper()
	node := brokertest.RabbitManaged(t)
	r := remains{node: node, vhost: node.NewVhost(t)}
	r.shell = newShell(t).with("GOSLO_URL=" + node.URLVhost(r.vhost))
	for _, name := range []string{emptyOrphan, fullOrphan, "jobs"} {
		node.Eval(t, fmt.Sprintf(`{new, _} = rabbit_amqqueue:declare(rabbit_misc:r(<<"%s">>, queue, <<"%s">>), false, false, [], none, <<"brokertest">>), ok`, r.vhost, name))
	}
	for _, body := range []string{
		`{"oslo.version": "2.0", "oslo.message": "{\"method\": \"rebuild\", \"args\": {\"admin_pass\": \"s3cret\", \"host\": \"c1\"}}"}`, `{"n": 1e400, "auth_token": "s3cret"}`, "\x00\xff",
	} {
		r.publish(t, fullOrphan, body)
	}
	brokertest.Await(t, "the messages are there", func() bool {
		q, _ := node.FindQueue(t, r.vhost, fullOrphan)
		return q.Messages == 3
	})
	return r
}

func (r remains) publish(t *testing.T, queue, body string) {
	t.Helper()
	r.node.Eval(t, fmt.Sprintf(`ok = rabbit_basic:publish(rabbit_misc:r(<<"%s">>, exchange, <<>>), <<"%s">>, [{delivery_mode, 2}], <<%s>>), ok`,
		r.vhost, queue, strings.Join(strings.Fields(strings.Trim(fmt.Sprintf("%d", []byte(body)), "[]")), ",")))
}

// manage runs a command with the management API, which knows of queues some seconds after they are declared.
func (r remains) manage(t *testing.T, args ...string) result {
	t.Helper()
	return r.run(t, append(args, "--management", r.node.ManagementURL())...)
}

func (r remains) awaitOrphans(t *testing.T) {
	t.Helper()
	brokertest.Await(t, "statistics of the orphans", func() bool {
		return strings.Contains(r.manage(t, "orphans").out, "2 orphans, 3 messages")
	})
}

func TestOrphansAreDeleted(t *testing.T) {
	t.Parallel()
	r := leave(t)
	if young := r.manage(t, "orphans"); young.code == 0 {
		young.wantErr(t, "not seen: whether anybody consumes from 2 queues")
	}
	r.awaitOrphans(t)
	got := r.manage(t, "orphans", "--delete", "--yes").want(t, 6)
	got.wantLines(t, emptyOrphan+": deleted", fullOrphan+": not empty (see goslo drain-queue; --with-messages deletes it all the same)")
	if _, there := r.node.FindQueue(t, r.vhost, emptyOrphan); there {
		t.Error("the empty one is still there")
	}
	if q, _ := r.node.FindQueue(t, r.vhost, fullOrphan); q.Messages != 3 {
		t.Errorf("the full one has become %+v", q)
	}
	f := decode[struct{ Deleted map[string]string }](t, r.manage(t, "orphans", "--delete", "--yes", "--with-messages", "--json").want(t, 0))
	if diff := cmp.Diff(map[string]string{fullOrphan: "deleted"}, f.Deleted); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	if _, there := r.node.FindQueue(t, r.vhost, "jobs"); !there {
		t.Error("a queue of somebody else's was deleted")
	}
}

// A drainedLine is what drain-queue prints.
type drainedLine struct {
	RoutingKey string `json:"routing_key"`
	Properties map[string]any
	Body       json.RawMessage
	Base64     []byte `json:"body_base64"`
	Message    json.RawMessage
}

func drainedLines(t *testing.T, text string) []drainedLine {
	t.Helper()
	var all []drainedLine
	for line := range strings.Lines(text) {
		var d drainedLine
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, d)
	}
	return all
}

func TestQueuesAreDrained(t *testing.T) {
	t.Parallel()
	r := leave(t)
	r.run(t, "drain-queue", fullOrphan, "--management", "off").want(t, 2).wantErr(t, "3 ready", "nothing was done; to take all messages out of "+fullOrphan+", add --yes")

	printed := r.run(t, "drain-queue", fullOrphan, "--count", "1", "--yes", "--management", "off").want(t, 0)
	lines := drainedLines(t, printed.out)
	if len(lines) != 1 || string(lines[0].Message) != `{"method":"rebuild","args":{"admin_pass":"***","host":"c1"}}` || lines[0].Body != nil || lines[0].RoutingKey != fullOrphan {
		t.Errorf("printed: %s", printed.out)
	}

	file := filepath.Join(t.TempDir(), "messages")
	r.run(t, "drain-queue", fullOrphan, "--to", file, "--yes", "--management", "off").want(t, 0).wantErr(t, "2 messages taken out of "+fullOrphan+" and written to "+file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines = drainedLines(t, string(text))
	if len(lines) != 2 || string(lines[0].Body) != `{"n": 1e400, "auth_token": "s3cret"}` || string(lines[1].Base64) != "\x00\xff" || lines[1].Properties["delivery_mode"] != 2.0 {
		t.Errorf("written: %s", text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if q, _ := r.node.FindQueue(t, r.vhost, fullOrphan); q.Messages != 0 {
		t.Errorf("%d messages are left", q.Messages)
	}
	r.publish(t, fullOrphan, "again")
	r.run(t, "drain-queue", fullOrphan, "--to", file, "--yes", "--management", "off").want(t, 2).wantErr(t, "file exists")
	r.run(t, "drain-queue", "nonesuch", "--yes", "--management", "off").want(t, 3)
}

// TestDrainedMessagesHaveNoSecrets is about what is JSON for Python, or nearly so.
func TestDrainedMessagesHaveNoSecrets(t *testing.T) {
	t.Parallel()
	r := leave(t)
	r.run(t, "purge", fullOrphan, "--yes", "--management", "off").want(t, 0)
	r.publish(t, fullOrphan, `{"oslo.version": "2.0", "oslo.message": "{\"n\": NaN, \"admin_pass\": \"s3cret\", \"t\": \"<&>\"}"}`)
	r.publish(t, fullOrphan, `{"n": -Infinity, "admin_pass": "s3cret"}`)
	r.publish(t, fullOrphan, `{'admin_pass': 's3cret'}`)
	got := r.run(t, "drain-queue", fullOrphan, "--yes", "--management", "off").want(t, 1)
	got.wantErr(t, "2 messages taken out", "--to FILE")
	for _, want := range []string{`"message":{"n": NaN, "admin_pass": "***", "t": "<&>"}}`, `"message":{"n": -Infinity, "admin_pass": "***"}}`} {
		if !strings.Contains(got.out, want) {
			t.Errorf("no %s in %s", want, got.out)
		}
	}
	if strings.Contains(got.out, "s3cret") {
		t.Errorf("a secret was printed: %s", got.out)
	}
	if q, _ := r.node.FindQueue(t, r.vhost, fullOrphan); q.Messages != 1 {
		t.Errorf("%d messages are left, want the one that could not be shown", q.Messages)
	}
}

// TestWhatCannotBeWrittenStays is about a disk that is full in mid-drain.
func TestWhatCannotBeWrittenStays(t *testing.T) {
	t.Parallel()
	r := leave(t)
	r.run(t, "drain-queue", fullOrphan, "--to", "/dev/full", "--yes", "--management", "off").want(t, 2)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	c := r.command(t, []string{"drain-queue", fullOrphan, "--yes", "--management", "off"})
	c.Stdout = full
	if err := c.Run(); err == nil {
		t.Error("nobody noticed that nothing was written")
	}
	if q, _ := r.node.FindQueue(t, r.vhost, fullOrphan); q.Messages != 3 {
		t.Errorf("%d messages are left, want 3", q.Messages)
	}
}

func TestQueuesArePurged(t *testing.T) {
	t.Parallel()
	r := leave(t)
	r.run(t, "purge", fullOrphan, "--management", "off").want(t, 2).wantErr(t, "nothing was done; to drop 3 messages of "+fullOrphan+", add --yes")
	got := decode[struct {
		Queue  string
		Purged int
	}](t, r.run(t, "purge", fullOrphan, "--yes", "--json", "--management", "off").want(t, 0))
	if got.Queue != fullOrphan || got.Purged != 3 {
		t.Errorf("got %+v", got)
	}
}

// TestQueuesInUseAreLeftAlone is about queues that somebody consumes from.
func TestQueuesInUseAreLeftAlone(t *testing.T) {
	t.Parallel()
	o := operate(t)
	for _, command := range []string{"drain-queue", "purge"} {
		o.look(t, command, "compute.cmp-1", "--yes").want(t, 2).wantErr(t, "compute.cmp-1 has 1 consumer", "--in-use", o.process(cloudtest.Compute1))
		o.look(t, command, "comp..", "--yes").want(t, 2).wantErr(t, `"comp.." may be any of 5 queues`)
		// One is the beginning of a single name, and one is a part of it: with a whole name that queue is meant which has it, or none.
		o.look(t, command, "cinder-volume.vol-2", "--yes").want(t, 3).wantErr(t, `no queue "cinder-volume.vol-2"`)
		o.look(t, command, "vol-2.example", "--yes").want(t, 3)
		o.look(t, command, "vol-2.example..", "--yes").want(t, 3)
	}
}

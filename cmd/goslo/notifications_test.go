package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
)

// heard is what goslo listen --json prints.
type heard struct {
	Topic, Priority  string
	Event            string `json:"event_type"`
	Publisher        string `json:"publisher_id"`
	Context, Payload json.RawMessage
}

func (s *shell) listen(t *testing.T, args ...string) *process {
	t.Helper()
	p := s.start(t, append([]string{"listen"}, args...)...)
	p.waitErr(t, "listening")
	return p
}

func hears(t *testing.T, p *process) heard {
	t.Helper()
	var h heard
	if line := p.wait(t, ""); json.Unmarshal([]byte(line), &h) != nil {
		t.Fatalf("not JSON: %s", line)
	}
	return h
}

// conforms: NCLI-01, NCLI-02
func TestNotifyIsHeard(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	people, machine := s.listen(t), s.listen(t, "notifications", "other", "--json", "--count", "2")
	got := s.run(t, "notify", "-", "vm.create", `{"name": "vm-1", "adminPass": "hunter2", "big": 12345678901234567890, "esc": "\u001b[31m"}`,
		"--publisher", "compute.cmp-1", "--priority", "WARNING", "--context", `{"user_id": "ann", "auth_token": "gAAAA", "request_id": "req-1"}`).want(t, 0)
	if !strings.HasPrefix(got.out, "told vm.create to notifications.warn after ") {
		t.Errorf("output: %s", got.out)
	}
	line := people.wait(t, "vm.create")
	for _, part := range []string{"warn", "compute.cmp-1", "req-1"} {
		if !strings.Contains(line, part) {
			t.Errorf("%q lacks %s", line, part)
		}
	}
	if payload := people.wait(t, ""); payload != `    {"name":"vm-1","adminPass":"***","big":12345678901234567890,"esc":"\u001b[31m"}` {
		t.Errorf("payload: %s", payload)
	}
	s.run(t, "notify", "other", "vm.delete", "--context", "{}").want(t, 0)
	want := []heard{
		{
			"notifications.warn", "WARN", "vm.create", "compute.cmp-1", json.RawMessage(`{"request_id":"req-1","user_id":"ann"}`),
			json.RawMessage(`{"name":"vm-1","adminPass":"***","big":12345678901234567890,"esc":"\u001b[31m"}`),
		},
		{"other.info", "INFO", "vm.delete", "goslo." + hostname(t), json.RawMessage(`{}`), json.RawMessage(`{}`)},
	}
	if diff := cmp.Diff(want, []heard{hears(t, machine), hears(t, machine)}); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
	if code, rest := machine.end(t, 0); code != 0 || rest != "" {
		t.Errorf("--count ended with %d\n%s%s", code, rest, machine.err)
	}
	if code, _ := people.end(t, syscall.SIGINT); code != 0 {
		t.Errorf("Ctrl-C ended it with %d\n%s", code, people.err)
	}
}

func hostname(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestNotifyFromStandardInput(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	l := s.listen(t, "--json")
	got := s.runWith(t, "{\"n\": 1}\n{\"n\":\n 2}\n[3]\n", "notify", "-", "many", "-", "--json").want(t, 0)
	var told struct {
		Count  int
		Topics []string
		ID     string `json:"message_id"`
	}
	if err := json.Unmarshal([]byte(got.out), &told); err != nil || told.Count != 3 || told.ID == "" || told.Topics[0] != "notifications.info" {
		t.Errorf("%+v (%v): %s", told, err, got.out)
	}
	for _, want := range []string{`{"n":1}`, `{"n":2}`, `[3]`} {
		if h := hears(t, l); string(h.Payload) != want {
			t.Errorf("heard %s, want %s", h.Payload, want)
		}
	}
	s.runWith(t, "{} {", "notify", "-", "many", "-").want(t, 2).wantErr(t, "after 1 notifications", "value 2 is not JSON")
	s.runWith(t, " \n", "notify", "-", "many", "-").want(t, 2).wantErr(t, "standard input is empty")
}

func TestListenFilters(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	l := s.listen(t, "--json", "--priority", "error,info", "--count", "3", "--filter", `event_type=vm\.,payload.state=^a{1,3}$,context.user_id=ann`,
		"--filter", "publisher=net", "--filter", "event_type=vm.both,publisher=net")
	for _, n := range [][]string{
		{"vm.one", `{"state": "aa"}`},
		{"vm.two", `{"state": "aaaa"}`},
		{"image.three", `{"state": "a"}`},
		{"vm.four", `{"state": "a"}`, "--context", `{"user_id": "bob"}`},
		{"vm.five", `{"state": "a"}`, "--priority", "audit"},
		{"port.six", "{}", "--publisher", "network.h1", "--priority", "error"},
		{"vm.both", `{"state": "a"}`, "--publisher", "net"},
	} {
		s.run(t, append([]string{"notify", "-", n[0], n[1], "--context", `{"user_id": "ann"}`}, n[2:]...)...).want(t, 0)
	}
	var got []string
	for range 3 {
		got = append(got, hears(t, l).Event)
	}
	if diff := cmp.Diff([]string{"vm.one", "port.six", "vm.both"}, got); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
	if code, rest := l.end(t, 0); code != 0 || rest != "" {
		t.Errorf("ended with %d\n%s%s", code, rest, l.err)
	}
	s.run(t, "listen", "--count", "1", "--for", "0.2").want(t, 4).wantErr(t, "0 of 1 notifications within 200ms", "--filter")
	s.run(t, "listen", "--for", "0.2").want(t, 0).wantErr(t, "heard 0")
}

// Who only listens takes nothing from others and leaves nothing behind, also when it is killed.
func TestListenLeavesNoTrace(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	s := newShell(t).with("GOSLO_URL=" + node.URLVhost(vhost))
	l := s.listen(t, "--json")
	queues := func() map[string]int {
		t.Helper()
		all := map[string]int{}
		for _, q := range node.ListQueues(t, vhost) {
			name := q.Name
			if strings.HasPrefix(name, "goslo-listen-") {
				name = "goslo-listen"
			}
			all[name] = q.Messages
		}
		return all
	}
	if diff := cmp.Diff(map[string]int{"goslo-listen": 0}, queues()); diff != "" {
		t.Errorf("queues while it listens (-want +got):\n%s", diff)
	}
	for i := range 3 {
		s.run(t, "notify", "-", fmt.Sprint("event.", i)).want(t, 0)
		if h := hears(t, l); h.Event != fmt.Sprint("event.", i) {
			t.Errorf("heard %+v", h)
		}
	}
	l.end(t, syscall.SIGKILL)
	want := map[string]int{"notifications.info": 3}
	var diff string
	brokertest.Await(t, "the queue of who was killed to go", func() bool {
		diff = cmp.Diff(want, queues())
		return diff == ""
	})
	if code, _ := s.listen(t).end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("ended with %d", code)
	}
	if diff = cmp.Diff(want, queues()); diff != "" {
		t.Errorf("queues when it has ended (-want +got):\n%s", diff)
	}
}

// Who asks for it takes part: in a pool, which stays, or with who listens without one.
func TestListenTakesPart(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	s := newShell(t).with("GOSLO_URL=" + node.URLVhost(vhost))
	waiting := func(queue string, want int) {
		t.Helper()
		brokertest.Await(t, fmt.Sprint(want, " in ", queue), func() bool {
			q, ok := node.FindQueue(t, vhost, queue)
			return ok && q.Messages == want && q.Consumers == 0
		})
	}
	tell := func(n int) {
		t.Helper()
		s.runWith(t, strings.Repeat("{}", n), "notify", "-", "x", "-", "--version", "1.0").want(t, 0)
	}
	pool := s.listen(t, "--pool", "meter", "--count", "2", "--priority", "info")
	tell(5)
	if code, out := pool.end(t, 0); code != 0 || strings.Count(out, "{}") != 2 {
		t.Errorf("ended with %d\n%s%s", code, out, pool.err)
	}
	waiting("meter", 3)
	waiting("notifications.info", 5)
	got := s.run(t, "listen", "--steal", "--count", "4", "--priority", "info", "--json").want(t, 0)
	if n := strings.Count(got.out, "\n"); n != 4 {
		t.Errorf("printed %d, want 4:\n%s", n, got.out)
	}
	got.wantErr(t, `"pool":""`)
	waiting("notifications.info", 1)
	waiting("meter", 3)
}

// The group of the files for notifications has a bus and topics of its own, and routes.
func TestNotifyByConfigurationFile(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	url := strings.TrimPrefix(s.env[2], "GOSLO_URL=")
	s.env[2] = "GOSLO_URL="
	folder := t.TempDir()
	routes, file := filepath.Join(folder, "routes.yaml"), filepath.Join(folder, "nova.conf")
	for path, text := range map[string]string{
		routes: "g:\n  messagingv2:\n    rejected_events: [\"secret.*\"]\n",
		file: "[DEFAULT]\ntransport_url = rabbit://127.0.0.1:1/\n[oslo_messaging_notifications]\ntransport_url = " + url +
			"\ntopics = one,two\nrouting_config = " + routes + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := s.listen(t, "--json", "--count", "2", "--config-file", file)
	for _, event := range []string{"secret.thing", "open.thing"} {
		s.run(t, "notify", "-", event, "--driver", "routing", "-c", file).want(t, 0)
	}
	for range 2 {
		if h := hears(t, l); h.Event != "open.thing" || h.Topic != "one.info" && h.Topic != "two.info" {
			t.Errorf("heard %+v", h)
		}
	}
	got := s.run(t, "notify", "-", "x.y", `{"password": "hunter2"}`, "--driver", "log", "-c", file).want(t, 0)
	got.wantErr(t, "event_type=x.y", "***")
	if strings.Contains(got.err, "hunter2") || !strings.Contains(got.out, "driver log") {
		t.Errorf("%s%s", got.out, got.err)
	}
}

func TestNotifyWithoutABus(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.run(t, "notify", "-", "x", "--url", "rabbit://127.0.0.1:1/", "--timeout", "1").want(t, 5).wantErr(t, "127.0.0.1:1")
	s.run(t, "listen", "--url", "rabbit://127.0.0.1:1/", "--json").want(t, 5)
}

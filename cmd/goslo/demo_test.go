package main

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
)

func TestDemoOnce(t *testing.T) {
	t.Parallel()
	rabbit := brokertest.Rabbit(t)
	vhost := rabbit.NewVhost(t)
	for _, test := range []struct {
		name string
		args []string
	}{
		{"embedded", nil},
		{"memory", []string{"--url", "memory://"}},
		{"rabbit", []string{"--url", rabbit.URLVhost(vhost)}},
		{"nats", []string{"--url", brokertest.NewNATS(t, brokertest.NATSOptions{}).URL()}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := newShell(t).run(t, append([]string{"demo", "--once"}, test.args...)...).want(t, 0)
			for _, line := range []string{
				"api       -> conductor  cast", "conductor -> scheduler  call", "conductor -> cmp-1      cast",
				"fanout   cache_images", "failure  nova.exception.InstanceNotFound", "nobody   get_host_uptime", "All of it happened",
			} {
				if !strings.Contains(got.out, line) {
					t.Errorf("the story lacks %q:\n%s", line, got.out)
				}
			}
			if got.err != "" {
				t.Errorf("standard error:\n%s", got.err)
			}
			t.Logf("took %s", got.took)
		})
	}
	brokertest.Await(t, "the demo's queues go with it", func() bool { return len(rabbit.ListQueues(t, vhost)) == 0 })
	for _, exchange := range rabbit.ListExchanges(t, vhost) {
		if strings.Contains(exchange.Name, "goslo-demo") {
			t.Errorf("the exchange %s is left behind", exchange.Name)
		}
	}
}

func TestDemosDoNotDisturbOneAnother(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.start(t, "broker").wait(t, "ready")
	demos := []*process{s.start(t, "demo", "--once", "--json"), s.start(t, "demo", "--once", "--json"), s.start(t, "demo", "--once", "--json")}
	var hops []int
	for _, demo := range demos {
		code, out := demo.end(t, 0)
		if code != 0 {
			t.Errorf("exit code %d\n%s", code, demo.err)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		var done struct {
			Event string
			Hops  int
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &done); err != nil || done.Event != "done" {
			t.Fatalf("last line %q: %v", lines[len(lines)-1], err)
		}
		hops = append(hops, done.Hops)
	}
	if slices.Min(hops) != slices.Max(hops) {
		t.Errorf("the demos saw %v hops: some saw another's", hops)
	}
}

func TestDemoStaysUp(t *testing.T) {
	t.Parallel()
	demo := newShell(t).start(t, "demo")
	url := strings.Fields(demo.wait(t, " api "))[1]
	demo.wait(t, "The cloud stays up")
	demo.wait(t, "curl -i "+url+"/os-hypervisors/cmp-9")

	answer, err := http.Post(url+"/servers/vm-1/action", "application/json", strings.NewReader(`{"os-migrateLive": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusAccepted {
		t.Errorf("status %s (%v)", answer.Status, err)
	}
	demo.wait(t, `"host":"cmp-1","status":"ACTIVE"`) // it was on cmp-2 after the story

	if answer, err = http.Get(url + "/servers/nosuch"); err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusNotFound || !strings.Contains(string(body), "InstanceNotFound") {
		t.Errorf("status %s, body %s (%v)", answer.Status, body, err)
	}
	if code, _ := demo.end(t, syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d\n%s", code, demo.err)
	}
}

func TestDemoWithoutABus(t *testing.T) {
	t.Parallel()
	got := newShell(t).run(t, "demo", "--once", "--url", "rabbit://"+closedPort(t)+"/").want(t, 5)
	got.wantErr(t, "connection refused", "check that the broker runs")
}

package main

import (
	"encoding/json"
	"errors"
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
	leavesNothing := func(t *testing.T) {
		brokertest.Await(t, "the demo's queues go with it", func() bool { return len(rabbit.ListQueues(t, vhost)) == 0 })
		for _, exchange := range rabbit.ListExchanges(t, vhost) {
			if strings.Contains(exchange.Name, "goslo-demo") {
				t.Errorf("the exchange %s is left behind", exchange.Name)
			}
		}
	}
	for _, test := range []struct {
		name  string
		args  []string
		after func(t *testing.T)
	}{
		{"embedded", nil, nil},
		{"memory", []string{"--url", "memory://"}, nil},
		{"rabbit", []string{"--url", rabbit.URLVhost(vhost)}, leavesNothing},
		{"amqp 1.0", []string{"--url", brokertest.RabbitAMQP1(t).AMQP1URL()}, nil},
		{"nats", []string{"--url", brokertest.NewNATS(t, brokertest.NATSOptions{}).URL()}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
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
			if test.after != nil {
				test.after(t)
			}
		})
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
	demo.wait(t, "curl -i "+url+"/v1/os-hypervisors/cmp-9")

	if status, body := curl(t, http.MethodPost, url+"/v1/servers/vm-1/action", `{"os-migrateLive": {"host": null}}`); status != http.StatusAccepted {
		t.Errorf("status %d: %s", status, body)
	}
	demo.wait(t, `"host":"cmp-1","status":"ACTIVE"`) // it was on cmp-2 after the story

	if status, body := curl(t, http.MethodGet, url+"/v1/servers/nosuch", ""); status != http.StatusNotFound || !strings.Contains(body, "itemNotFound") {
		t.Errorf("status %d: %s", status, body)
	}
	if code, _ := demo.end(t, syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d\n%s", code, demo.err)
	}
}

func TestDemoSaysWhatDidNotHappen(t *testing.T) {
	t.Parallel()
	crippled := brokertest.NewNATS(t, brokertest.NATSOptions{NoJetStream: true}) // calls work there, casts do not
	got := newShell(t).run(t, "demo", "--once", "--log-level", "off", "--url", crippled.URL()).want(t, 1)
	got.wantErr(t, "demo: A live migration", "POST /v1/servers/vm-1/action", "JetStream")
}

func TestDemoWithoutMulticast(t *testing.T) {
	t.Parallel()
	got := newShell(t).run(t, "demo", "--once", "--log-level", "off", "--url", brokertest.NewProton(t).URL()).want(t, 1)
	got.wantErr(t, "demo: A fanout", "cache_images", "without multicast")
}

func curl(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestDemoWithoutABus(t *testing.T) {
	t.Parallel()
	got := newShell(t).run(t, "demo", "--once", "--url", "rabbit://"+closedPort(t)+"/").want(t, 5)
	got.wantErr(t, "connection refused", "check that the broker runs")
}

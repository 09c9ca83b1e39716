package tap_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/tap"
)

func bindings() []management.Binding {
	bound := func(exchange, key, queue string) management.Binding {
		return management.Binding{Source: exchange, Destination: queue, Kind: "queue", RoutingKey: key}
	}
	return []management.Binding{
		bound("nova", "compute", "compute"), bound("nova", "compute.cmp-1.example", "compute.cmp-1.example"), bound("nova", "compute.cmp-2", "compute.cmp-2"),
		bound("compute_fanout", "compute", "compute_fanout_1"), bound("compute_fanout", "compute", "compute_fanout_2"),
		bound("neutron", "q-agent-notifier-port-update", "q-agent-notifier-port-update"), bound("neutron", "neutron-vo-Port-1.5", "neutron-vo-Port-1.5"),
		bound("nova", "notifications.info", "notifications.info"), bound("nova", "compute", "goslo.tap.1.x"), bound("amq.topic", "mine", "mine"),
		bound("nova", "other.#", "audit"), bound("scheduler_fanout", "scheduler", "goslo.tap.1.x"),
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	queue := func(exchange, name string) tap.Route { return tap.Route{Exchange: exchange, Key: name, Queue: name} }
	compute := []tap.Route{
		{Exchange: "compute_fanout", Key: "compute"},
		queue("nova", "compute"), queue("nova", "compute.cmp-1.example"), queue("nova", "compute.cmp-2"),
	}
	neutron := []tap.Route{queue("neutron", "neutron-vo-Port-1.5"), queue("neutron", "q-agent-notifier-port-update")}
	for name, c := range map[string]struct{ patterns, want any }{
		"all":             {[]string(nil), []tap.Route{compute[0], neutron[0], neutron[1], compute[1], compute[2], compute[3]}},
		"a topic":         {[]string{"compute"}, compute},
		"a server":        {[]string{"compute/cmp-2"}, compute[3:]},
		"a server's name": {[]string{"compute.cmp-1.example"}, compute[2:3]},
		"servers":         {[]string{"compute.*"}, compute[2:]},
		"a prefix":        {[]string{"neutron-*", "q-*"}, neutron},
		"as keys have it": {[]string{"compute.#"}, compute[2:]},
		"nothing":         {[]string{"comput"}, []tap.Route(nil)},
	} {
		if diff := cmp.Diff(c.want, tap.RoutesOf(bindings(), c.patterns.([]string))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTopics(t *testing.T) {
	t.Parallel()
	known := tap.TopicsOf(bindings())
	for key, want := range map[string][2]string{
		"compute": {"compute", ""}, "compute.cmp-1.example": {"compute", "cmp-1.example"}, "compute.never": {"compute", "never"},
		"neutron-vo-Port-1.5": {"neutron-vo-Port-1.5", ""}, "unknown.host.example": {"unknown", "host.example"}, "unknown": {"unknown", ""},
	} {
		topic, server := known.Split(key)
		if got := [2]string{topic, server}; got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

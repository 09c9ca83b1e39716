package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
)

// blocked finds connections on which the broker takes nothing.
func blocked(f *Facts) []Finding {
	return gather(f.View.Connections, func(c management.Connection) bool { return c.State == "blocked" || c.State == "blocking" }, func(who []operator.Owner) Finding {
		return Finding{
			Severity: Bad, Subject: counted(len(who), "connection"), Owners: who,
			Text: "the broker takes no messages on them: calls and casts of these processes wait",
			Next: "find the alarm, and free what the broker is short of: rabbitmqctl status; queues that grew long are in goslo ls",
		}
	})
}

// alarms finds nodes in trouble.
func alarms(f *Facts) []Finding {
	var found []Finding
	add := func(s Severity, n management.Node, next, text string, args ...any) {
		found = append(found, Finding{Severity: s, Subject: n.Name, Text: fmt.Sprintf(text, args...), Next: next})
	}
	for _, n := range f.View.Broker.Nodes {
		if !n.Running {
			add(Bad, n, "start it, or take it out of the cluster: rabbitmqctl forget_cluster_node "+n.Name, "is not running; classic queues that live on it are gone or unreachable")
			continue
		}
		if len(n.Partitions) > 0 {
			add(Bad, n, "choose the side to keep, and restart the nodes of the other", "is cut off from %s: each side goes on alone, and they differ", strings.Join(n.Partitions, ", "))
		}
		if n.MemoryAlarm {
			add(Bad, n, "drop or read long queues (goslo ls), or raise vm_memory_high_watermark", "memory alarm: %s used, the limit is %s; nobody can send",
				bytes(operator.Count(n.MemoryUsed)), bytes(operator.Count(n.MemoryLimit)))
		}
		if n.DiskAlarm {
			add(Bad, n, "free disk space on the node, or lower disk_free_limit", "disk alarm: %s free, the limit is %s; nobody can send",
				bytes(operator.Count(n.DiskFree)), bytes(operator.Count(n.DiskLimit)))
		}
		if n.FilesTotal > 0 && n.FilesUsed*10 > n.FilesTotal*9 {
			add(Warn, n, "raise LimitNOFILE of rabbitmq-server, and restart it", "%d of %d file descriptors are in use; without any it refuses connections", n.FilesUsed, n.FilesTotal)
		}
		if n.ProcessesTotal > 0 && n.ProcessesUsed*10 > n.ProcessesTotal*9 {
			add(Warn, n, "look for connections and channels that are never closed: rabbitmqctl list_connections name channels", "%d of %d Erlang processes are in use", n.ProcessesUsed, n.ProcessesTotal)
		}
	}
	return found
}

// What is more than services need that stay up: their queues and connections come with a start, and go with a stop. Per second.
const (
	muchConnecting = 1.0
	muchOpening    = 10.0 // channels
	muchMaking     = 1.0  // queues
	muchDeclaring  = 20.0 // queues, those that are there already included
)

// churn finds a broker that is kept busy by coming and going.
func churn(f *Facts) []Finding {
	var found []Finding
	for _, c := range []struct {
		rate, much float64
		what, next string
	}{
		{f.View.Broker.Churn.ConnectionsCreatedPer.Rate, muchConnecting, "connections opened", "look for a service that reconnects, or a probe that opens one each time: rabbitmqctl list_connections name connected_at"},
		{f.View.Broker.Churn.ChannelsCreatedPer.Rate, muchOpening, "channels opened", "look for a program that opens one for each message; oslo.messaging keeps them"},
		{f.View.Broker.Churn.QueuesCreatedPer.Rate, muchMaking, "queues created", "look for services that restart all the time; use_queue_manager = true gives their queues lasting names"},
		{f.View.Broker.Churn.QueuesDeclaredPer.Rate, muchDeclaring, "queues declared", "look for services that reconnect all the time"},
	} {
		if c.rate > c.much {
			found = append(found, Finding{Severity: Warn, Subject: c.what, Text: fmt.Sprintf("%.1f a second, where services that stay up need next to none", c.rate), Next: c.next})
		}
	}
	return found
}

// What clocks may differ by. Certificates, tokens and the times in logs are compared between machines, and nova takes a service
// for dead that has not reported for service_down_time, 60 s.
const (
	smallDifference = 2 * time.Second
	largeDifference = 30 * time.Second
)

// clocks compares the broker's with ours.
func clocks(f *Facts) []Finding {
	off := f.Clock.Ahead.Abs() - f.Clock.Error
	if off < smallDifference {
		return nil
	}
	finding := Finding{
		Severity: Warn, Subject: "the broker's clock",
		Text: fmt.Sprintf("%s %s this machine's", shown(f.Clock.Ahead.Abs().Round(time.Second)), map[bool]string{true: "ahead of", false: "behind"}[f.Clock.Ahead > 0]),
		Next: "see on both machines whether time is synchronised: chronyc tracking, or timedatectl",
	}
	if off >= largeDifference {
		finding.Severity = Bad
		finding.Text += "; services that compare times take each other for dead"
	}
	return []Finding{finding}
}

// A release is the first two numbers of a version; zero = not known.
type release struct{ major, minor int }

func (r release) atLeast(major, minor int) bool {
	return r.major > major || r.major == major && r.minor >= minor
}

func (r release) String() string { return strconv.Itoa(r.major) + "." + strconv.Itoa(r.minor) }

func (f *Facts) release() release {
	if f.View == nil {
		return release{}
	}
	major, rest, _ := strings.Cut(f.View.Broker.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	var r release
	r.major, _ = strconv.Atoi(major) // 0 of what is no number
	r.minor, _ = strconv.Atoi(minor)
	return r
}

// fixedUntil says until when the community fixed a series of RabbitMQ; https://www.rabbitmq.com/release-information.
var fixedUntil = []struct {
	series release
	until  string
}{
	{release{3, 7}, "September 2020"},
	{release{3, 8}, "January 2022"},
	{release{3, 9}, "January 2023"},
	{release{3, 10}, "July 2023"},
	{release{3, 11}, "December 2023"},
	{release{3, 12}, "June 2024"},
	{release{3, 13}, "September 2024"},
	{release{4, 0}, "April 2025"},
	{release{4, 1}, "January 2026"},
}

// version judges the broker by its version.
func version(f *Facts) []Finding {
	b := f.View.Broker
	if b.Product != "" && b.Product != "RabbitMQ" {
		return []Finding{{
			Severity: Info, Subject: b.Product + " " + b.Version,
			Text: "it is not RabbitMQ: what is said of versions of RabbitMQ was not checked", Next: "see the project's own notes about oslo.messaging",
		}}
	}
	r := f.release()
	for _, s := range fixedUntil {
		if s.series != r {
			continue
		}
		finding := Finding{
			Severity: Warn, Subject: "RabbitMQ " + b.Version,
			Text: "the community has fixed nothing in " + r.String() + " since " + s.until,
			Next: "plan an upgrade, series by series: https://www.rabbitmq.com/docs/upgrade",
		}
		if !r.atLeast(3, 8) {
			finding.Evidence = append(finding.Evidence, "it has no quorum queues, which came with 3.8: rabbit_quorum_queue does not work")
		}
		if !r.atLeast(3, 9) {
			finding.Evidence = append(finding.Evidence, "it has no streams, which came with 3.9: rabbit_stream_fanout does not work")
		}
		return []Finding{finding}
	}
	return nil
}

// clients finds libraries of several versions.
func clients(f *Facts) []Finding {
	versions := make(map[string]map[string]int) // by product
	var products []string
	for _, c := range f.View.Connections {
		if c.Client.Product == "" {
			continue
		}
		if versions[c.Client.Product] == nil {
			versions[c.Client.Product] = make(map[string]int)
			products = append(products, c.Client.Product)
		}
		versions[c.Client.Product][c.Client.Version]++
	}
	var found []Finding
	for _, p := range products {
		if len(versions[p]) < 2 {
			continue
		}
		finding := Finding{
			Severity: Info, Subject: p, Text: fmt.Sprintf("%d versions of it are connected: an upgrade that is under way, or was left halfway", len(versions[p])),
			Next: "goslo who QUEUE tells the library of its reader",
		}
		for _, v := range sortedKeys(versions[p]) {
			finding.Evidence = append(finding.Evidence, fmt.Sprintf("%s %s: %s", p, v, counted(versions[p][v], "connection")))
		}
		found = append(found, finding)
	}
	return found
}

// firehose finds tracing that somebody left on.
func firehose(f *Facts) []Finding {
	if !f.View.Broker.Tracing {
		return nil
	}
	return []Finding{{
		Severity: Warn, Subject: "tracing of " + f.View.Vhost,
		Text: "the firehose is on: every message is published twice more, which costs throughput",
		Next: "unless somebody uses it now: rabbitmqctl trace_off -p " + f.View.Vhost,
	}}
}

// mirrored finds policies of a kind that is gone.
func mirrored(f *Facts) []Finding {
	var found []Finding
	for _, p := range f.Policies {
		if _, mirrors := p.Definition["ha-mode"]; !mirrors {
			continue
		}
		finding := Finding{
			Severity: Info, Subject: "policy " + p.Name,
			Text:     "it mirrors classic queues, which RabbitMQ 4.0 and later do not do",
			Evidence: []string{"pattern " + p.Pattern},
			Next:     "move to quorum queues before an upgrade to 4.0: goslo plan quorum",
		}
		if f.release().atLeast(4, 0) {
			finding.Severity = Warn
			finding.Text = "it mirrors classic queues, which this broker does not do: these queues are on one node alone, and go with it"
			finding.Next = "goslo plan quorum; then rabbitmqctl clear_policy -p " + f.View.Vhost + " " + p.Name
		}
		found = append(found, finding)
	}
	return found
}

package scale_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

// Who the hosts of a cloud are.
const (
	ours   = "Goslo"
	theirs = "Python"
)

// A cloud is so many hosts of one kind.
type cloud struct {
	Name      string
	Hosts     int
	Processes int // of ours; Python has one for each host
	Python    bool
	Shared    bool   // a process of ours has one transport for all its hosts; else each host has its own, as a process each would
	Options   string // of the URL
}

// measureAgents has clouds of compute hosts on one RabbitMQ.
func measureAgents(t *testing.T, p *page) {
	duties := size(novaDuties, smallDuties)()
	known := readFigures(t)
	var all []cloudFigures
	for _, c := range clouds() {
		i := slices.IndexFunc(known, func(f cloudFigures) bool { return f.cloud == c })
		if i >= 0 {
			all = append(all, known[i])
			continue
		}
		t.Run(fmt.Sprintf("%s-%d", c.Name, c.Hosts), func(t *testing.T) {
			f := runCloud(t, c, duties)
			keepFigures(t, f)
			all = append(all, f)
		})
	}
	reportClouds(p, duties, all)
}

// clouds are those to measure, in the order of the tables.
func clouds() []cloud {
	const shared = ours + ", one transport a process"
	if !*fullFlag {
		return []cloud{{ours, 2, 2, false, false, ""}, {theirs, 2, 1, true, false, ""}, {shared, 6, 2, false, true, ""}}
	}
	var all []cloud
	for _, n := range []int{20, 40, 80} {
		all = append(all, cloud{ours, n, 4, false, false, ""}, cloud{theirs, n, 1, true, false, ""})
	}
	for n := 400; n <= *agentsFlag; n *= 5 {
		all = append(all, cloud{ours, n, 4, false, false, ""})
	}
	return append(all, cloud{shared, *agentsFlag, 4, false, true, ""})
}

// readFigures returns what an earlier run has measured and kept, so that one that was cut short goes on where it was.
func readFigures(t *testing.T) (known []cloudFigures) {
	t.Helper()
	if *figuresFlag == "" {
		return nil
	}
	file, err := os.Open(*figuresFlag)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := json.NewDecoder(file); ; {
		var f cloudFigures
		if err := lines.Decode(&f); errors.Is(err, io.EOF) {
			return known
		} else if err != nil {
			t.Fatalf("-scale.figures: %s: %v", *figuresFlag, err)
		}
		known = append(known, f)
	}
}

// keepFigures appends what was measured, unless it went wrong.
func keepFigures(t *testing.T, f cloudFigures) {
	t.Helper()
	if *figuresFlag == "" || t.Failed() {
		return
	}
	file, err := os.OpenFile(*figuresFlag, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := json.NewEncoder(file).Encode(f); err != nil {
		t.Error(err)
	}
}

func runCloud(t *testing.T, c cloud, duties []duty) cloudFigures {
	f := cloudFigures{cloud: c}
	b := openRabbit(t)
	plane := newPlane(t, b)
	b.broker.collect(t)
	before := b.broker.holds(t)
	broker := b.cpu(t)
	began := time.Now()
	agents := startAgents(t, b, c)
	f.Starting = time.Since(began)
	f.StartBroker = b.cpu(t) - broker
	f.StartCPU = agents.cpu(t)
	b.broker.collect(t)
	f.Start = b.broker.holds(t).since(before)
	assertCloud(t, f)

	broker, own, began := b.cpu(t), agents.cpu(t), time.Now()
	pass(size(10*time.Second, 100*time.Millisecond))
	f.Rested, f.RestBroker, f.RestCPU = time.Since(began), b.cpu(t)-broker, agents.cpu(t)-own

	f.Rebuilding = cutAll(t, b, before.Consumers+f.Start.Consumers)
	f.Fanout = fanoutToAgents(t, plane, agents, c.Hosts)

	raw, err := json.Marshal(novaContext())
	if err != nil {
		t.Fatal(err)
	}
	agents.order(t, order{Do: "work", Duties: duties, Values: raw})
	asked := plane.asked.Load()
	broker, own, began = b.cpu(t), agents.cpu(t), time.Now()
	ctx, rest := context.WithTimeout(t.Context(), size(45*time.Second, time.Second))
	visited := plane.visit(ctx, t, c.Hosts, size(time.Minute, 500*time.Millisecond))
	rest()
	f.Worked, f.WorkBroker, f.WorkCPU = time.Since(began), b.cpu(t)-broker, agents.cpu(t)-own
	agents.order(t, order{Do: "rest"})
	r := agents.order(t, order{Do: "report"})
	f.Calls, f.Casts, f.Failed, f.Latencies = r.Calls, r.Casts, r.Failed, r.Latencies
	slices.Sort(f.Latencies)
	f.Goroutines, f.PSS = r.Usage.Goroutines, agents.pss(t)
	if f.Failed > 0 {
		t.Errorf("%d requests of %s failed, such as: %s", f.Failed, c.Name, r.Why)
	}
	if got := int(plane.asked.Load() - asked); got != f.Calls {
		t.Errorf("the conductor answered %d calls, and the hosts had %d answers", got, f.Calls)
	}
	if r.Served != visited || visited == 0 {
		t.Errorf("hosts served %d calls, and %d were answered", r.Served, visited)
	}
	brokertest.Await(t, "both schedulers have heard every host", func() bool { return int(plane.synced.Load()) >= 2*f.Casts })
	agents.order(t, order{Do: "stop"})
	agents.end(t)
	return f
}

// pass lets time pass in which something else is measured.
func pass(d time.Duration) { <-time.After(d) }

func (h holdings) since(before holdings) holdings {
	return holdings{
		h.Connections - before.Connections, h.Channels - before.Channels, h.Queues - before.Queues, h.Consumers - before.Consumers,
		h.Bindings - before.Bindings, h.Declared - before.Declared, h.Created - before.Created, h.Closed - before.Closed, h.Memory - before.Memory, h.RSS - before.RSS,
	}
}

// assertCloud compares what hosts of ours hold with what they need: two connections for each transport; for each host queues of its own
// name, for fanouts and for replies, and one for all; a consumer on each of these.
func assertCloud(t *testing.T, f cloudFigures) {
	t.Helper()
	if f.Python {
		return
	}
	transports, clients := f.Hosts, f.Hosts
	if f.Shared {
		transports = f.Processes
	}
	if want := 2 * transports; f.Start.Connections != want {
		t.Errorf("%d hosts have %d connections, not %d", f.Hosts, f.Start.Connections, want)
	}
	if want := 2*f.Hosts + clients + 1; f.Start.Queues != want {
		t.Errorf("%d hosts have %d queues, not %d", f.Hosts, f.Start.Queues, want)
	}
	if want := 3*f.Hosts + clients; f.Start.Consumers != want {
		t.Errorf("%d hosts have %d consumers, not %d", f.Hosts, f.Start.Consumers, want)
	}
	if most := 2*f.Hosts + 7*transports + 4; f.Start.Channels > most {
		t.Errorf("%d hosts have %d channels; %d are enough", f.Hosts, f.Start.Channels, most)
	}
}

// cutAll has the broker close every connection, and returns how long it takes until there are as many consumers as before.
func cutAll(t *testing.T, b *bus, consumers int) time.Duration {
	t.Helper()
	before := b.broker.holds(t)
	began := time.Now()
	b.broker.node.Eval(t, `[spawn(fun() -> rabbit_networking:close_connection(P, <<"scale">>) end) || P <- rabbit_networking:connections()], ok`)
	brokertest.Await(t, "every consumer is back", func() bool {
		now := b.broker.holds(t)
		return now.Closed-before.Closed >= before.Connections && now.Consumers >= consumers
	})
	return time.Since(began)
}

// fanoutToAgents returns how long it takes until the last host has a cast to all.
func fanoutToAgents(t *testing.T, p *plane, a *agents, hosts int) time.Duration {
	t.Helper()
	began := time.Now()
	if err := refresh.Cast(t.Context(), p.client.Fanout(), someArgs); err != nil {
		t.Fatal(err)
	}
	var last float64
	brokertest.Await(t, "every host has heard the fanout", func() bool {
		r := a.order(t, order{Do: "report"})
		last = r.Last
		return r.Heard >= hosts
	})
	return time.Duration((last - float64(began.UnixNano())/1e9) * float64(time.Second))
}

// agents are the processes of a cloud's hosts.
type agents struct {
	all  []*agentProcess
	pids []int // of the hosts
}

type agentProcess struct {
	cmd     *exec.Cmd
	orders  *json.Encoder
	answers *json.Decoder
	close   func() error
}

const python = "/usr/bin/python3" // Debian's, which has python3-oslo.messaging

// startAgents starts the processes, and then all of their hosts at once.
func startAgents(t *testing.T, b *bus, c cloud) *agents {
	t.Helper()
	a := &agents{}
	for range c.Processes {
		a.all = append(a.all, startAgentProcess(t, c.Python))
	}
	per := (c.Hosts + c.Processes - 1) / c.Processes
	r := a.orderEach(t, func(i int) order {
		return order{Do: "start", URL: b.broker.url() + c.Options, First: i * per, Count: min(per, c.Hosts-i*per), Shared: c.Shared}
	})
	a.pids = r.PIDs
	if r.Refused > 0 {
		t.Logf("%d hosts: %d attempts to connect came to nothing, and were made again", c.Hosts, r.Refused)
	}
	return a
}

func startAgentProcess(t *testing.T, isPython bool) *agentProcess {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	if isPython {
		cmd = exec.Command(python, "python/hosts.py")
	}
	cmd.Env = append(os.Environ(), hostsVariable+"=1", "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd, err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = in.Close()
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return &agentProcess{cmd, json.NewEncoder(in), json.NewDecoder(out), in.Close}
}

// order gives one to all processes, and returns their answers as one.
func (a *agents) order(t *testing.T, o order) hostsReport {
	t.Helper()
	return a.orderEach(t, func(int) order { return o })
}

func (a *agents) orderEach(t *testing.T, f func(i int) order) hostsReport {
	t.Helper()
	reports, errs := make([]hostsReport, len(a.all)), make([]error, len(a.all))
	var all sync.WaitGroup
	for i, p := range a.all {
		all.Go(func() {
			if errs[i] = p.orders.Encode(f(i)); errs[i] == nil {
				errs[i] = p.answers.Decode(&reports[i])
			}
		})
	}
	all.Wait()
	var sum hostsReport
	for i, r := range reports {
		if errs[i] != nil || r.Error != "" {
			t.Fatalf("order %q: %v %s", f(i).Do, errs[i], r.Error)
		}
		sum.PIDs = append(sum.PIDs, r.PIDs...)
		sum.Calls, sum.Casts, sum.Failed, sum.Served, sum.Heard = sum.Calls+r.Calls, sum.Casts+r.Casts, sum.Failed+r.Failed, sum.Served+r.Served, sum.Heard+r.Heard
		sum.Latencies, sum.Refused = append(sum.Latencies, r.Latencies...), sum.Refused+r.Refused
		sum.Last, sum.Usage.Goroutines = max(sum.Last, r.Last), sum.Usage.Goroutines+r.Usage.Goroutines
		if r.Why != "" {
			sum.Why = r.Why
		}
	}
	return sum
}

// cpu is what the hosts' processes have used.
func (a *agents) cpu(t *testing.T) (sum time.Duration) {
	t.Helper()
	for _, pid := range a.pids {
		sum += cpuOf(t, pid)
	}
	return sum
}

func (a *agents) pss(t *testing.T) (sum int64) {
	t.Helper()
	for _, pid := range a.pids {
		sum += memoryOf(t, pid).PSS
	}
	return sum
}

// end closes the processes' input, with which they end.
func (a *agents) end(t *testing.T) {
	t.Helper()
	for _, p := range a.all {
		if err := p.close(); err != nil {
			t.Error(err)
		}
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("a process of hosts: %v", err)
		}
	}
}

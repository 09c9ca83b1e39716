package scale_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/chart"
)

// A cloud is so many hosts of one kind.
type cloud struct {
	name      string
	hosts     int
	processes int // of ours; Python has one for each host
	python    bool
	shared    bool // a process of ours has one transport for all its hosts; else each host has its own, as a process each would
}

// measureAgents has clouds of compute hosts on one RabbitMQ.
func measureAgents(t *testing.T, p *page) {
	duties := size(novaDuties, smallDuties)()
	small := size([]int{20, 40, 80}, []int{2})
	var clouds []cloud
	for _, n := range small {
		clouds = append(clouds, cloud{"Goslo", n, size(4, 2), false, false}, cloud{"Python", n, 1, true, false})
	}
	if *fullFlag {
		for n := 400; n <= *agentsFlag; n *= 5 {
			clouds = append(clouds, cloud{"Goslo", n, 4, false, false})
		}
		clouds = append(clouds, cloud{"Goslo, one transport a process", *agentsFlag, 4, false, true})
	} else {
		clouds = append(clouds, cloud{"Goslo, one transport a process", 6, 2, false, true})
	}
	calls, fanouts := perMinute(duties)
	p.say("Each host: %.1f calls and %.1f fanouts a minute, as a nova-compute makes (below), and a call to it once a minute. The conductor and two schedulers are ours in all rows, in a process that is not counted. \"At rest\" is before the hosts' periodic work: only heartbeats and checks.", calls, fanouts)
	var starts, loads, holds [][]string
	grown := map[string][]cloudFigures{}
	for _, c := range clouds {
		t.Run(fmt.Sprintf("%s-%d", c.name, c.hosts), func(t *testing.T) {
			f := runCloud(t, c, duties)
			grown[c.name] = append(grown[c.name], f)
			n := int64(c.hosts)
			starts = append(starts, []string{
				c.name, count(c.hosts), seconds(f.starting), fmt.Sprintf("%d", f.start.Declared), fmt.Sprintf("%.0f", float64(f.start.Declared)/f.starting.Seconds()),
				millis(f.startCPU / time.Duration(n)), millis(f.startBroker / time.Duration(n)), seconds(f.rebuilding), millis(f.fanout),
			})
			holds = append(holds, []string{
				c.name, count(c.hosts), count(f.start.Connections), count(f.start.Channels), count(f.start.Queues), count(f.start.Consumers), count(f.start.Bindings),
				mib(f.start.Memory), kib(f.start.Memory / n), mib(f.pss), kib(f.pss / n), fmt.Sprintf("%.1f", float64(f.goroutines)/float64(n)),
			})
			loads = append(loads, []string{
				c.name, count(c.hosts), fmt.Sprintf("%.1f", f.rate()), fmt.Sprintf("%d of %d", f.failed, f.calls+f.casts+f.failed), millis(f.quantile(0.5)), millis(f.quantile(0.99)),
				permille(f.restCPU, f.rested), permille(f.restBroker, f.rested), permille(f.workCPU, f.worked), permille(f.workBroker, f.worked),
			})
		})
	}
	p.say("\nStarting, all hosts at once; then the broker closes every connection, and all come back at once; then one fanout to all of them:")
	p.table([]string{"hosts", "", "all serve after", "queue.declare", "per second", "our CPU per host", "broker's CPU per host", "all back after", "fanout to the last after"}, starts)
	p.say("What they hold on the broker, less what was there before, and what they take themselves (PSS: pages of several processes are shared out):")
	p.table([]string{"hosts", "", "connections", "channels", "queues", "consumers", "bindings", "broker's memory", "per host", "hosts' memory", "per host", "goroutines per host"}, holds)
	p.say("At work. CPU is in thousandths of one core:")
	p.table([]string{"hosts", "", "calls/s", "failed", "median", "p99", "at rest: hosts' CPU", "broker's CPU", "at work: hosts' CPU", "broker's CPU"}, loads)
	slopes(p, grown)
}

// permille is how much of a core was used, in thousandths.
func permille(cpu, over time.Duration) string {
	return fmt.Sprintf("%.0f", 1000*cpu.Seconds()/over.Seconds())
}

// cloudFigures are what runCloud measures.
type cloudFigures struct {
	cloud
	starting, rebuilding, fanout time.Duration
	start                        holdings // after the start, less what was there before
	startCPU, startBroker        time.Duration
	rested, worked               time.Duration
	restCPU, restBroker          time.Duration
	workCPU, workBroker          time.Duration
	pss                          int64
	goroutines                   int
	calls, casts, failed         int
	latencies                    []float64 // seconds, sorted
}

func (f cloudFigures) rate() float64 { return float64(f.calls) / f.worked.Seconds() }

func (f cloudFigures) quantile(q float64) time.Duration {
	if len(f.latencies) == 0 {
		return 0
	}
	return time.Duration(f.latencies[int(q*float64(len(f.latencies)-1))] * float64(time.Second))
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
	f.starting = time.Since(began)
	f.startBroker = b.cpu(t) - broker
	f.startCPU = agents.cpu(t)
	b.broker.collect(t)
	f.start = b.broker.holds(t).since(before)
	assertCloud(t, f)

	broker, own, began := b.cpu(t), agents.cpu(t), time.Now()
	pass(size(10*time.Second, 100*time.Millisecond))
	f.rested, f.restBroker, f.restCPU = time.Since(began), b.cpu(t)-broker, agents.cpu(t)-own

	f.rebuilding = cutAll(t, b, before.Consumers+f.start.Consumers)
	f.fanout = fanoutToAgents(t, plane, agents, c.hosts)

	raw, err := json.Marshal(novaContext())
	if err != nil {
		t.Fatal(err)
	}
	agents.order(t, order{Do: "work", Duties: duties, Values: raw})
	asked := plane.asked.Load()
	broker, own, began = b.cpu(t), agents.cpu(t), time.Now()
	ctx, rest := context.WithTimeout(t.Context(), size(45*time.Second, time.Second))
	visited := plane.visit(ctx, t, c.hosts, size(time.Minute, 500*time.Millisecond))
	rest()
	f.worked, f.workBroker, f.workCPU = time.Since(began), b.cpu(t)-broker, agents.cpu(t)-own
	agents.order(t, order{Do: "rest"})
	r := agents.order(t, order{Do: "report"})
	f.calls, f.casts, f.failed, f.latencies = r.Calls, r.Casts, r.Failed, r.Latencies
	slices.Sort(f.latencies)
	f.goroutines, f.pss = r.Usage.Goroutines, agents.pss(t)
	if f.failed > 0 {
		t.Errorf("%d requests of %s failed, such as: %s", f.failed, c.name, r.Why)
	}
	if got := int(plane.asked.Load() - asked); got != f.calls {
		t.Errorf("the conductor answered %d calls, and the hosts had %d answers", got, f.calls)
	}
	if r.Served != visited || visited == 0 {
		t.Errorf("hosts served %d calls, and %d were answered", r.Served, visited)
	}
	brokertest.Await(t, "both schedulers have heard every host", func() bool { return int(plane.synced.Load()) >= 2*f.casts })
	agents.order(t, order{Do: "stop"})
	agents.end(t)
	return f
}

// pass lets time pass in which something else is measured.
func pass(d time.Duration) { <-time.After(d) }

func (h holdings) since(before holdings) holdings {
	return holdings{
		h.Connections - before.Connections, h.Channels - before.Channels, h.Queues - before.Queues, h.Consumers - before.Consumers,
		h.Bindings - before.Bindings, h.Declared - before.Declared, h.Created - before.Created, h.Memory - before.Memory, h.RSS - before.RSS,
	}
}

// assertCloud compares what hosts of ours hold with what they need: two connections for each transport; for each host queues of its own
// name, for fanouts and for replies, and one for all; a consumer on each of these.
func assertCloud(t *testing.T, f cloudFigures) {
	t.Helper()
	if f.python {
		return
	}
	transports, clients := f.hosts, f.hosts
	if f.shared {
		transports = f.processes
	}
	if want := 2 * transports; f.start.Connections != want {
		t.Errorf("%d hosts have %d connections, not %d", f.hosts, f.start.Connections, want)
	}
	if want := 2*f.hosts + clients + 1; f.start.Queues != want {
		t.Errorf("%d hosts have %d queues, not %d", f.hosts, f.start.Queues, want)
	}
	if want := 3*f.hosts + clients; f.start.Consumers != want {
		t.Errorf("%d hosts have %d consumers, not %d", f.hosts, f.start.Consumers, want)
	}
	if most := 2*f.hosts + 5*transports + 4; f.start.Channels > most {
		t.Errorf("%d hosts have %d channels; %d are enough", f.hosts, f.start.Channels, most)
	}
}

// cutAll has the broker close every connection, and returns how long it takes until there are as many consumers as before.
func cutAll(t *testing.T, b *bus, consumers int) time.Duration {
	t.Helper()
	began := time.Now()
	b.broker.node.Eval(t, `[rabbit_networking:close_connection(P, <<"scale">>) || P <- rabbit_networking:connections()], ok`)
	brokertest.Await(t, "every consumer is back", func() bool { return b.broker.holds(t).Consumers >= consumers })
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
	for range c.processes {
		a.all = append(a.all, startAgentProcess(t, c.python))
	}
	per := (c.hosts + c.processes - 1) / c.processes
	r := a.orderEach(t, func(i int) order {
		return order{Do: "start", URL: b.broker.url(), First: i * per, Count: min(per, c.hosts-i*per), Shared: c.shared}
	})
	a.pids = r.PIDs
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
		sum.Latencies = append(sum.Latencies, r.Latencies...)
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

// slopes writes what one more host costs, by least squares over the sizes measured.
func slopes(p *page, grown map[string][]cloudFigures) {
	measures := []struct {
		name   string
		format string
		of     func(cloudFigures) float64
	}{
		{"connections", "%.1f", func(f cloudFigures) float64 { return float64(f.start.Connections) }},
		{"channels", "%.1f", func(f cloudFigures) float64 { return float64(f.start.Channels) }},
		{"queues", "%.1f", func(f cloudFigures) float64 { return float64(f.start.Queues) }},
		{"queue.declare at the start", "%.1f", func(f cloudFigures) float64 { return float64(f.start.Declared) }},
		{"broker's memory, KiB", "%.0f", func(f cloudFigures) float64 { return float64(f.start.Memory) / 1024 }},
		{"hosts' memory, KiB", "%.0f", func(f cloudFigures) float64 { return float64(f.pss) / 1024 }},
		{"broker's CPU at work, thousandths of a core", "%.2f", func(f cloudFigures) float64 { return 1000 * f.workBroker.Seconds() / f.worked.Seconds() }},
		{"hosts' CPU at work, thousandths of a core", "%.2f", func(f cloudFigures) float64 { return 1000 * f.workCPU.Seconds() / f.worked.Seconds() }},
	}
	head := []string{"one more host costs"}
	rows := make([][]string, len(measures))
	for i, m := range measures {
		rows[i] = []string{m.name}
	}
	for _, name := range []string{"Goslo", "Python"} {
		all := grown[name]
		if len(all) < 2 {
			return
		}
		head = append(head, fmt.Sprintf("%s, %d to %d hosts", name, all[0].hosts, all[len(all)-1].hosts))
		for i, m := range measures {
			rows[i] = append(rows[i], fmt.Sprintf(m.format, slope(all, m.of)))
		}
	}
	p.say("Slopes, by least squares over the sizes measured:")
	p.table(head, rows)
	var figures []chart.Figure
	for _, m := range measures[4:7] {
		lines := chart.Lines{Title: strings.ToUpper(m.name[:1]) + m.name[1:], X: chart.Axis{Name: "hosts", Log: true}, Y: chart.Axis{Name: m.name, Log: true}}
		for _, name := range []string{"Goslo", "Python"} {
			line := chart.Line{Name: name}
			for _, f := range grown[name] {
				if y := m.of(f); y > 0 {
					line.Points = append(line.Points, chart.Point{X: float64(f.hosts), Y: y})
				}
			}
			lines.Lines = append(lines.Lines, line)
		}
		figures = append(figures, lines)
	}
	p.chart("agents.svg", "Memory and CPU time by hosts", figures...)
}

// slope is by how much y grows with one host.
func slope(all []cloudFigures, y func(cloudFigures) float64) float64 {
	var n, sx, sy, sxx, sxy float64
	for _, f := range all {
		x, y := float64(f.hosts), y(f)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/goslo/goslo/internal/load"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// A Report is what a server tells of a run, and of its process.
type Report struct {
	Server   string       `json:"server"`
	Host     string       `json:"host"` // the machine's name
	PID      int          `json:"pid"`
	Go       string       `json:"go"` // version
	Workers  int          `json:"workers"`
	Received int64        `json:"received"` // requests and notifications of the run
	Bytes    int64        `json:"bytes"`    // of their cargo
	First    int64        `json:"first_ns"` // when they came, since 1970; 0 = none has
	Last     int64        `json:"last_ns"`
	Delay    string       `json:"delay,omitempty"` // an HdrHistogram in its encoding, of nanoseconds from when they were due, by both machines' clocks
	Usage    load.Usage   `json:"usage"`           // of the process since its start
	Traffic  load.Traffic `json:"traffic"`         // the same
}

// process names the process.
func (r Report) process() string { return fmt.Sprintf("%s:%d", r.Host, r.PID) }

// A Reporter asks all servers for their reports. Done says that the run has ended.
type Reporter func(ctx context.Context, run string, done bool) ([]Report, error)

// Ask asks servers of a topic over the bus.
func Ask(client *rpc.Client, topic string, servers []string) Reporter {
	return func(ctx context.Context, run string, done bool) ([]Report, error) {
		all := make([]Report, len(servers))
		for i, name := range servers {
			var err error
			if all[i], err = report.Call(ctx, client.On(control(topic)).To(name), ask{Run: run, Done: done}); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
}

// Listening asks servers of this process directly.
func Listening(s *Server) Reporter {
	return func(ctx context.Context, run string, _ bool) ([]Report, error) { return s.Report(ctx, run) }
}

const (
	findTimeout = 5 * time.Second
	findQuiet   = 500 * time.Millisecond
)

// Find finds all servers of a topic: as many as are expected, or, with 0, those that answer until none has for half a second. When none serves the topic, that is
// the error of a call.
func Find(ctx context.Context, bus transport.Transport, client *rpc.Client, topic string, expected int) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	if _, err := report.Call(ctx, client.On(control(topic)), ask{}); err != nil {
		return nil, err
	}
	found := make(chan string, 1)
	here := finding{Topic: topic + "-finding", Server: NewRun()}
	server := rpc.NewServer(bus, rpc.ServerConfig{Target: rpc.Target{Topic: here.Topic}, Server: here.Server, Drain: -1},
		present.Handle(func(ctx context.Context, p presence) error {
			select {
			case found <- p.Server:
			case <-ctx.Done():
			}
			return nil
		}))
	if err := server.Listen(ctx); err != nil {
		return nil, err
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(serving) }()
	names, err := gather(ctx, client.On(control(topic)), here, found, expected)
	stop()
	var drain *rpc.DrainError
	if runErr := <-ended; err == nil && !errors.As(runErr, &drain) { // an answer too late is no error
		err = runErr
	}
	return names, err
}

// gather asks everybody, and collects their answers.
func gather(ctx context.Context, to *rpc.Client, here finding, found <-chan string, expected int) ([]string, error) {
	if err := find.Cast(ctx, to.Fanout(), here); err != nil {
		return nil, err
	}
	var names []string
	quiet := time.NewTimer(findTimeout)
	defer quiet.Stop()
	for {
		select {
		case name := <-found:
			if slices.Contains(names, name) {
				continue
			}
			names = append(names, name)
			if len(names) == expected {
				slices.Sort(names)
				return names, nil
			}
			if expected == 0 {
				quiet.Reset(findQuiet)
			}
		case <-quiet.C:
			if expected == 0 && len(names) > 0 {
				slices.Sort(names)
				return names, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("bench: %d servers answered on the topic, %d were expected: %s: %w", len(names), max(expected, 1), strings.Join(names, ", "), ctx.Err())
		}
	}
}

// A Side is one side of a run: the callers' process, or the servers' processes together.
type Side struct {
	Usage    load.Usage   // what they spent, and the memory that they had at the end
	Carried  load.Carried // over their connections
	Untold   error        // why Carried is not known
	Hosting  bool         // one of them is the broker, whose work is in these numbers
	Machines []string     // where they ran
	PIDs     []int
}

// serversSide adds up the processes of servers.
func serversSide(before, after []Report) Side {
	var s Side
	seen := make(map[string]bool)
	for _, r := range after {
		if seen[r.process()] {
			continue
		}
		seen[r.process()] = true
		i := slices.IndexFunc(before, func(b Report) bool { return b.process() == r.process() })
		if i < 0 {
			s.Untold = errors.New("bench: bytes on the wire: a server was started anew meanwhile")
			continue
		}
		used := r.Usage.Since(before[i].Usage)
		if len(s.PIDs) > 0 {
			used = s.Usage.Add(used)
		}
		s.Usage = used
		carried, err := r.Traffic.Since(before[i].Traffic)
		s.Untold = errors.Join(s.Untold, err)
		s.Carried.Sent += carried.Sent
		s.Carried.Received += carried.Received
		s.Hosting = s.Hosting || r.Traffic.Hosting
		s.PIDs = append(s.PIDs, r.PID)
		if !slices.Contains(s.Machines, r.Host) {
			s.Machines = append(s.Machines, r.Host)
		}
	}
	return s
}

// received adds up what servers have received.
func received(all []Report) (n int64) {
	for _, r := range all {
		n += r.Received
	}
	return n
}

// delays merges the delays that servers have measured.
func delays(all []Report) (*hdrhistogram.Histogram, error) {
	sum := load.NewHistogram()
	for _, r := range all {
		if r.Delay == "" {
			continue
		}
		h, err := hdrhistogram.Decode([]byte(r.Delay))
		if err != nil {
			return nil, fmt.Errorf("bench: the delays that server %s tells: %w", r.Server, err)
		}
		sum.Merge(h)
	}
	return sum, nil
}

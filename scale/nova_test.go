package scale_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/rpc"
)

// A duty is what a compute host does again and again. Sizes are in bytes of a string argument and of a string that comes back.
type duty struct {
	Topic  string  `json:"topic"`
	Method string  `json:"method"`
	Fanout bool    `json:"fanout"` // a cast to all servers of the topic; else a call
	Every  float64 `json:"every"`  // seconds
	Size   int     `json:"size"`
	Answer int     `json:"answer"`
}

// novaDuties are what a nova-compute with default options asks of others over the bus while nothing happens to its instances. It has no
// database: whatever it loads or saves of an object is a call to the conductor, object_action where the object is there and
// object_class_action_versions where it is to be loaded (nova/conductor/rpcapi.py). From nova of August 2026: option report_interval, 10 s
// (nova/conf/service.py, nova/servicegroup/drivers/db.py: _report_state), and the periodic tasks of nova/compute/manager.py with their
// intervals in nova/conf/compute.py; what one run of update_available_resource loads is in nova/compute/resource_tracker.py. Sizes are
// ours: a small object one way, a list of a few instances the other.
func novaDuties() []duty {
	const conductor, act, load = "conductor", "object_action", "object_class_action_versions"
	minute, five, ten := 60.0, 300.0, 600.0
	return []duty{
		{Topic: conductor, Method: act, Every: 10, Size: 1200, Answer: 300},      // report_state: Service.save
		{Topic: conductor, Method: load, Every: minute, Size: 400, Answer: 2048}, // update_available_resource: ComputeNodeList.get_all_by_host,
		{Topic: conductor, Method: load, Every: minute, Size: 400, Answer: 8192}, // InstanceList.get_by_host_and_node,
		{Topic: conductor, Method: load, Every: minute, Size: 400, Answer: 512},  // MigrationList.get_in_progress_and_error,
		{Topic: conductor, Method: load, Every: minute, Size: 400, Answer: 512},  // Service.get_by_compute_host
		{Topic: conductor, Method: load, Every: 120, Size: 400, Answer: 8192},    // _sync_scheduler_instance_info: InstanceList.get_by_host
		{Topic: "scheduler", Method: "sync_instance_info", Fanout: true, Every: 120, Size: 600},
		{Topic: conductor, Method: load, Every: five, Size: 400, Answer: 512}, // _run_pending_deletes: InstanceList.get_by_filters
		{Topic: conductor, Method: load, Every: five, Size: 400, Answer: 512}, // _cleanup_incomplete_migrations: MigrationList.get_by_filters
		{Topic: conductor, Method: load, Every: five, Size: 400, Answer: 64},  // _cleanup_expired_console_auth_tokens
		{Topic: conductor, Method: load, Every: ten, Size: 400, Answer: 8192}, // _sync_power_states: InstanceList.get_by_host
	}
}

// smallDuties are for the short version, in which no minute passes.
func smallDuties() []duty {
	return []duty{
		{Topic: "conductor", Method: "object_action", Every: 0.2, Size: 1200, Answer: 300},
		{Topic: "conductor", Method: "object_class_action_versions", Every: 0.3, Size: 400, Answer: 2048},
		{Topic: "scheduler", Method: "sync_instance_info", Fanout: true, Every: 0.5, Size: 600},
	}
}

// perMinute is how many calls and fanouts a host makes.
func perMinute(duties []duty) (calls, fanouts float64) {
	for _, d := range duties {
		if d.Fanout {
			fanouts += 60 / d.Every
		} else {
			calls += 60 / d.Every
		}
	}
	return calls, fanouts
}

// dutyArgs are the arguments of a duty.
type dutyArgs struct {
	Object string `json:"object"`
	Answer int    `json:"answer"`
}

// novaContext is a request context of a service's own: about as many keys, and as long, as nova's.
func novaContext() map[string]any {
	return map[string]any{
		"user": nil, "tenant": nil, "system_scope": nil, "project": nil, "domain": nil, "user_domain": nil, "project_domain": nil,
		"is_admin": true, "read_only": false, "show_deleted": false, "auth_token": nil,
		"request_id": "req-5f0c2c1e-7a55-4d9a-9d4f-3a3b2d1c0e9f", "global_request_id": nil, "resource_uuid": nil,
		"roles": []string{}, "user_identity": "- - - - -", "is_admin_project": true, "read_deleted": "no", "remote_address": nil,
		"timestamp": "2026-11-21T12:00:00.000000", "quota_class": nil, "instance_lock_checked": false, "service_catalog": []string{},
	}
}

// A plane is what compute hosts talk to: a conductor and two schedulers. It is ours, whoever the hosts are.
type plane struct {
	asked, synced atomic.Int64
	client        *rpc.Client
}

func newPlane(t *testing.T, b *bus) *plane {
	t.Helper()
	p := &plane{}
	answer := func(_ context.Context, a dutyArgs) (string, error) {
		p.asked.Add(1)
		return strings.Repeat("o", a.Answer), nil
	}
	conductor, scheduler := rpc.Target{Topic: "conductor", Version: "3.0"}, rpc.Target{Topic: "scheduler", Version: "4.0"}
	act := rpc.NewCall[dutyArgs, string](conductor, "object_action")
	load := rpc.NewCall[dutyArgs, string](conductor, "object_class_action_versions")
	sync := rpc.NewCast[dutyArgs](scheduler, "sync_instance_info")
	hear := sync.Handle(func(context.Context, dutyArgs) error {
		p.synced.Add(1)
		return nil
	})
	on := b.open(t)
	serving(t, rpc.NewServer(on, rpc.ServerConfig{Target: conductor, Server: "ctl-1"}, act.Handle(answer), load.Handle(answer)))
	serving(t, rpc.NewServer(on, rpc.ServerConfig{Target: scheduler, Server: "ctl-1"}, hear))
	serving(t, rpc.NewServer(on, rpc.ServerConfig{Target: scheduler, Server: "ctl-2"}, hear))
	p.client = rpc.NewClient(on, rpc.ClientConfig{})
	t.Cleanup(func() {
		if err := p.client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// serving runs a server until the test ends.
func serving(t *testing.T, s *rpc.Server) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	if err := s.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// visit calls every host once a minute, one after the other, until ctx ends: the requests of users, which are many small ones here. It
// returns how many were answered.
func (p *plane) visit(ctx context.Context, t *testing.T, hosts int, every time.Duration) (answered int) {
	t.Helper()
	tick := time.NewTicker(every / time.Duration(hosts))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return answered
		case <-tick.C:
		}
		got, err := echo.Call(context.WithoutCancel(ctx), p.client.To(serverName(i%hosts)), someArgs)
		if err != nil || got != someArgs.Arg {
			t.Errorf("host %d answered %q, %v", i%hosts, got, err)
			continue
		}
		answered++
	}
}

// An order is what a process of hosts is told, on a line of its own; it answers with a hostsReport.
type order struct {
	Do     string          `json:"do"` // start, work, rest, report, stop
	URL    string          `json:"url,omitempty"`
	First  int             `json:"first,omitempty"`
	Count  int             `json:"count,omitempty"`
	Shared bool            `json:"shared,omitempty"` // the process has one transport for all of its hosts; else each has its own
	Duties []duty          `json:"duties,omitempty"`
	Values json.RawMessage `json:"context,omitempty"` // the request context
}

// A hostsReport is how it is with the hosts of a process, counted since they were told to work.
type hostsReport struct {
	Error     string    `json:"error,omitempty"`
	PIDs      []int     `json:"pids"`
	Calls     int       `json:"calls"`
	Casts     int       `json:"casts"`
	Failed    int       `json:"failed"`
	Why       string    `json:"why,omitempty"` // one of the failures
	Latencies []float64 `json:"latencies"`     // seconds, of the calls
	Served    int       `json:"served"`
	Heard     int       `json:"heard"`   // fanouts
	Last      float64   `json:"last"`    // when the last of them came, in seconds since 1970
	Refused   int       `json:"refused"` // attempts to connect that came to nothing
	Usage     usage     `json:"usage"`   // of Go's
}

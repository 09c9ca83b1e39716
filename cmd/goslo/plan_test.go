package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/cloudtest"
)

// TestPlanQuorum has the cloud for itself, as others would change what is compared.
func TestPlanQuorum(t *testing.T) {
	c := cloudtest.Shared(t)
	at := []string{"plan", "quorum", "--url", c.URL, "--management", c.Node.ManagementURL()}
	c.Unchanged(t, func() {
		r := newShell(t).run(t, at...).want(t, 0)
		for _, text := range []string{
			"Quorum queues for vhost " + c.Vhost + ", in place: ",
			"[ ] 3 messages in notifications.info: have them read, or keep them in a file\n           goslo drain-queue notifications.info --to notifications.info.messages\n",
			"[ ] nova-compute on 127.0.0.1 (2 processes)\n           systemctl stop nova-compute\n",
			"[ ] queue cinder-volume, durable classic, with 0 messages\n           rabbitmqctl delete_queue -p " + c.Vhost + " --if-unused cinder-volume\n",
			"[x] exchange cinder is durable\n", "[ ] exchange nova, transient\n", "\nThe way back\n",
		} {
			if !strings.Contains(r.out, text) {
				t.Errorf("standard output lacks %q:\n%s", text, r.out)
			}
		}
	})
	var p struct {
		Target string
		Steps  []struct {
			Title string
			Down  bool
			Items []struct{ State, Text, Command string }
		}
		Rollback []any
	}
	out := newShell(t).run(t, append(at, "--json", "--fresh-vhost")...).want(t, 0).out
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if p.Target != c.Vhost+"-quorum" || len(p.Steps) < 6 || len(p.Rollback) == 0 {
		t.Errorf("target %q, %d steps, %d ways back", p.Target, len(p.Steps), len(p.Rollback))
	}
	newShell(t).run(t, append(at, "--fresh-vhost="+c.Vhost)...).want(t, 2).wantErr(t, "is the virtual host that is to be left")
	newShell(t).run(t, "plan", "quorum", "--url", c.URL, "--management", "off").want(t, 5).wantErr(t, "management API")
}

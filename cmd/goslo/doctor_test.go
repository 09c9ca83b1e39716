package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/cloudtest"
	"github.com/goslo/goslo/internal/management"
)

// diagnosis is what doctor prints as JSON, as far as tests look at it.
type diagnosis struct {
	Vhost, Version string
	Counts         map[string]int
	Unseen         []string
	Report         struct {
		Checked   []string
		Unchecked []struct{ ID, Why string }
		Findings  []struct {
			ID, Severity, Subject, Text, Next string
			Evidence                          []string
			Owners                            []struct {
				Program string
				PID     int
			}
		}
	}
}

func diagnose(t *testing.T, code int, args ...string) diagnosis {
	t.Helper()
	var d diagnosis
	out := newShell(t).with("GOSLO_URL=").run(t, append([]string{"doctor", "--json"}, args...)...).want(t, code).out
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return d
}

// TestDoctor has the cloud for itself, as others would change what is compared.
func TestDoctor(t *testing.T) {
	c := cloudtest.Shared(t)
	var d diagnosis
	c.Unchanged(t, func() { d = diagnose(t, 6, "--url", c.URL, "--management", c.Node.ManagementURL()) })
	found := make(map[string]string)
	for _, f := range d.Report.Findings {
		text := f.Severity + " " + f.Subject
		for _, o := range f.Owners {
			if o.PID != 0 && f.ID == "B01" {
				text += " " + o.Program
				if o.PID != c.PID(cloudtest.Compute2) {
					t.Errorf("deaf is process %d, and it is %d that was stopped", o.PID, c.PID(cloudtest.Compute2))
				}
			}
		}
		found[f.ID] += text + "\n"
		if f.ID == "B05" {
			found[f.ID] = f.Severity + " " + strings.Join(f.Evidence, " ")
		}
	}
	for id, want := range map[string]string{
		"B01": "bad compute.cmp-2 nova-compute\n",
		"B03": "info exchanges\n",
		"B04": "info ",
		"B07": "warn notifications.info\n",
		"B13": "warn RabbitMQ 3.10.8\n",
		"B20": "warn ", // the cloud has none, so that the deaf server is not found out by them
	} {
		if id == "B13" && d.Version != "3.10.8" {
			continue
		}
		if !strings.HasPrefix(found[id], want) {
			t.Errorf("%s: %q, want %q", id, found[id], want)
		}
	}
	if !strings.Contains(found["B05"], "cinder-volume_fanout_") || !strings.Contains(found["B05"], "reply_") {
		t.Errorf("B05: %q, want the fanout and the reply queue that the killed process left", found["B05"])
	}
	for _, id := range []string{"B02", "B06", "B08", "B09", "B16", "B17", "B18", "B21"} {
		if found[id] != "" {
			t.Errorf("%s: %s, where nothing of the kind is the matter", id, found[id])
		}
	}
	if d.Vhost != c.Vhost || len(d.Report.Checked) < 20 || len(d.Unseen) > 0 {
		t.Errorf("vhost %q, %d checks, unseen %q", d.Vhost, len(d.Report.Checked), d.Unseen)
	}
}

func TestDoctorAsText(t *testing.T) {
	t.Parallel()
	c := cloudtest.Shared(t)
	var r result
	c.Unchanged(t, func() {
		r = newShell(t).run(t, "doctor", "--url", c.URL, "--management", c.Node.ManagementURL(), "--skip", "churn,B13").want(t, 6)
	})
	for _, text := range []string{
		"vhost " + c.Vhost + "   18 checks: 1 bad, ", "BAD  B01 deaf  compute.cmp-2\n     it holds 4 messages that it has not acknowledged, and takes none;",
		"-> goslo orphans\n", "warn B07 unread  notifications.info\n     3 notifications, and nobody reads them\n",
	} {
		if !strings.Contains(r.out, text) {
			t.Errorf("standard output lacks %q:\n%s", text, r.out)
		}
	}
	for line := range strings.Lines(r.out) {
		if len(strings.TrimSpace(line)) > 100 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
	r.wantErr(t, "not checked: B15 tls, B22 settings: no configuration was given; name it with -c /etc/nova/nova.conf\n")
}

// TestDoctorWithoutTheManagementAPI has a cloud of its own: without the API doctor does not know that a deaf server holds messages, and its question
// becomes one of them.
func TestDoctorWithoutTheManagementAPI(t *testing.T) {
	t.Parallel()
	c := cloudtest.Start(t, brokertest.Rabbit(t))
	d := diagnose(t, 6, "--url", c.URL, "--management", "off", "compute.cmp-1", "compute.cmp-2")
	if len(d.Report.Findings) == 0 || d.Report.Findings[0].Subject != "compute.cmp-2" || d.Report.Findings[0].ID != "B01" {
		t.Errorf("findings: %+v, want compute.cmp-2 deaf", d.Report.Findings)
	}
	if !slices.Equal(d.Report.Checked, []string{"B01", "B13"}) || len(d.Unseen) == 0 {
		t.Errorf("checked %v, unseen %v; want B01 and B13, and why no more", d.Report.Checked, d.Unseen)
	}
	newShell(t).run(t, "doctor", "--url", c.URL, "--management", "off", "compute.cmp-3").want(t, 3).wantErr(t, `no topic or queue "compute.cmp-3"`)
	d = diagnose(t, 0, "--url", c.URL, "--management", "off", "--fail-on", "bad")
	if !slices.Equal(d.Report.Checked, []string{"B13"}) || len(d.Report.Unchecked) == 0 {
		t.Errorf("checked %v; want B13 alone", d.Report.Checked)
	}
}

func TestDoctorReadsTheConfiguration(t *testing.T) {
	t.Parallel()
	c := cloudtest.Shared(t)
	file := filepath.Join(t.TempDir(), "nova.conf")
	conf := "[DEFAULT]\ntransport_url = " + c.URL + "\n[oslo_messaging_rabbit]\nrabbit_quorum_queue = true\nssl_enforce_hostname_verification = false\n"
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	d := diagnose(t, 6, "-c", file, "--management", c.Node.ManagementURL(), "--only", "settings,tls")
	if len(d.Report.Findings) != 1 || d.Report.Findings[0].Subject != "exchange nova" || !strings.Contains(d.Report.Findings[0].Evidence[0], file+":4") {
		t.Errorf("findings: %+v, want that exchange nova is not durable, which line 4 asks for", d.Report.Findings)
	}
}

// TestDoctorFindsWhoHearsNoReplies takes the queue away from under a process that does not look at what the broker says about that.
func TestDoctorFindsWhoHearsNoReplies(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitManaged(t)
	vhost := node.NewVhost(t)
	conn, err := amqp.DialConfig(strings.Replace(node.URLVhost(vhost), "rabbit:", "amqp:", 1), amqp.Config{Properties: amqp.Table{"connection_name": "nova-api:77:0a1b"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	reply, err := ch.QueueDeclare("reply_0123456789abcdef0123456789abcdef", false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	replies, err := ch.Consume(reply.Name, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Publish("", reply.Name, true, false, amqp.Publishing{}); err != nil {
		t.Fatal(err)
	}
	<-replies
	other.Close()
	api, err := management.New(management.Config{URL: node.ManagementURL(), Vhost: vhost})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	brokertest.Await(t, "the broker has counted the reply", func() bool {
		channels, err := api.Channels(t.Context())
		return err == nil && len(channels) == 1 && channels[0].Stats.DeliverGet == 1
	})
	look := []string{"--url", node.URLVhost(vhost), "--management", node.ManagementURL(), "--only", "reply-lost"}
	if d := diagnose(t, 0, look...); len(d.Report.Findings) > 0 {
		t.Errorf("it hears replies still, and doctor finds %+v", d.Report.Findings)
	}
	node.DeleteQueue(t, vhost, reply.Name)
	var d diagnosis
	brokertest.Await(t, "the broker's statistics", func() bool {
		out := newShell(t).with("GOSLO_URL=").run(t, append([]string{"doctor", "--json", "--fail-on", "never"}, look...)...).want(t, 0).out
		return json.Unmarshal([]byte(out), &d) == nil && len(d.Report.Findings) > 0
	})
	if f := d.Report.Findings[0]; f.Severity != "bad" || !strings.HasPrefix(f.Subject, "nova-api:77 @ ") {
		t.Errorf("found %+v, want that nova-api:77 hears no replies", f)
	}
}

func TestDoctorRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.run(t, "doctor", "--url", "rabbit://h/", "--only", "B77").want(t, 2).wantErr(t, `there is no check "B77"`)
	s.run(t, "doctor", "--url", "rabbit://h/", "--fail-on", "doom").want(t, 2).wantErr(t, `"doom" is not one of bad, warn, info, never`)
	s.with("GOSLO_URL=").run(t, "doctor").want(t, 2).wantErr(t, "no bus was named; name that of the service with -c")
	s.run(t, "doctor", "--url", "rabbit://127.0.0.1:1/").want(t, 5).wantErr(t, "connection refused")
}

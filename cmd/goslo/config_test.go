package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "project.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	path := writeConfig(t, `[DEFAULT]
my_ip = 10.0.0.1
transport_url = rabbit://openstack:hunter2@$my_ip/
rpc_response_timeout = soon
control_exchang = nova
osapi_compute_workers = 8
[oslo_messaging_rabbit]
rabbit_interval_max = 0
hartbeat_rate = 3
kombu_reconnect_timeout = 5
[nova]
anything = goes
`)
	want := strings.ReplaceAll(`FILE:4: [DEFAULT] rpc_response_timeout = "soon": not an integer
FILE:5: warning: [DEFAULT] control_exchang: no such option; did you mean control_exchange?
FILE:8: [oslo_messaging_rabbit] rabbit_interval_max = "0": not at least 1
FILE:9: warning: [oslo_messaging_rabbit] hartbeat_rate: no such option; did you mean heartbeat_rate?
FILE:10: warning: [oslo_messaging_rabbit] kombu_reconnect_timeout: an old name; write kombu_missing_consumer_retry_timeout in [oslo_messaging_rabbit]
`, "FILE", path)
	got := s.run(t, "config", "check", path).want(t, 2)
	got.wantErr(t, path+": 2 errors, 3 warnings", "see goslo config check")
	if diff := cmp.Diff(want, got.out); diff != "" {
		t.Error(diff)
	}

	var answer struct {
		OK       bool
		Files    []string
		Findings []struct {
			At, Group, Option, Value, Reason string
			Warning                          bool
		}
	}
	got = s.run(t, "config", "check", path, "--json").want(t, 2)
	if err := json.Unmarshal([]byte(got.out), &answer); err != nil || answer.OK || len(answer.Findings) != 5 || answer.Files[0] != path {
		t.Errorf("answer = %+v (%v)", answer, err)
	}
	if f := answer.Findings[2]; f.At != path+":8" || f.Group != "oslo_messaging_rabbit" || f.Option != "rabbit_interval_max" || f.Value != "0" || f.Warning {
		t.Errorf("finding = %+v", f)
	}

	// A later file, or one of a folder, wins; then only the warnings are left.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fix.conf"), []byte("[DEFAULT]\nrpc_response_timeout = 5\n[oslo_messaging_rabbit]\nrabbit_interval_max = 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.run(t, "config", "check", path, dir).want(t, 0); !strings.HasSuffix(got.out, "ok: 0 errors, 3 warnings\n") {
		t.Errorf("output: %s", got.out)
	}
	s.run(t, "config", "check", path, dir, "--strict").want(t, 2).wantErr(t, "0 errors, 3 warnings")
	s.run(t, "config", "check", dir, path).want(t, 2)
}

func TestConfigCheckFindsBrokenFiles(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, test := range []struct{ text, want string }{
		{"[DEFAULT]\nhunter2\n", "FILE:2: neither a [section]"},
		{"[DEFAULT]\ntransport_url = rabbit://u:hunter2@h:56x/\n", `FILE:2: [DEFAULT] transport_url: transport url "rabbit://***@h:56x/": port of host 1 of 1: not a number`},
		{"[DEFAULT]\ntransport_url = rabit://u:hunter2@h/\n", `FILE:2: [DEFAULT] transport_url: goslo: url rabit://u:***@h/: no transport is called "rabit"`},
		{"[DEFAULT]\ntransport_url = rabbit://u:hunter2@h/?ssl=maybe\n", `FILE:2: [DEFAULT] transport_url: option ssl: "maybe" is neither true nor false`},
		{"[oslo_messaging_rabbit]\nrabbit_ha_queues = true\nrabbit_quorum_queue = true\n", "FILE:2: [oslo_messaging_rabbit] rabbit_ha_queues: a queue is mirrored or a quorum queue"},
		{"[oslo_messaging_rabbit]\nssl = true\nssl_ca_file = /nosuch.pem\n", "FILE:3: [oslo_messaging_rabbit] ssl_ca_file: "},
		{"[DEFAULT]\ntransport_url = rabbit://u:pa$hunter2@h/\n", "FILE:2: [DEFAULT] transport_url: the name after $ is no option;"},
	} {
		path := writeConfig(t, test.text)
		got := s.run(t, "config", "check", path).want(t, 2)
		if want := strings.ReplaceAll(test.want, "FILE", path); !strings.HasPrefix(got.out, want) {
			t.Errorf("%q: %s, want %s", test.text, got.out, want)
		}
		if strings.Contains(got.out+got.err, "hunter2") {
			t.Errorf("a secret is shown: %s%s", got.out, got.err)
		}
	}
}

// What only the transport knows to be wrong is told beside all else, and nothing is told twice.
func TestConfigCheckTellsAllAtOnce(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	path := writeConfig(t, `[DEFAULT]
transport_url = rabbit://u:hunter2@h/
rpc_response_timeout = soon
rabbit_userid = nova
[oslo_messaging_rabbit]
rabbit_ha_queues = maybe
kombu_compression = lzma
ssl = true
ssl_ca_file = /nosuch.pem
`)
	want := strings.ReplaceAll(`FILE:3: [DEFAULT] rpc_response_timeout = "soon": not an integer
FILE:4: warning: [DEFAULT] rabbit_userid: will be removed: use transport_url
FILE:6: [oslo_messaging_rabbit] rabbit_ha_queues = "maybe": neither true, 1, on, yes nor false, 0, off, no
FILE:9: [oslo_messaging_rabbit] ssl_ca_file: open /nosuch.pem: no such file or directory
FILE:7: [oslo_messaging_rabbit] kombu_compression: "lzma" is not one of gzip, zstd, bzip2, bz2
`, "FILE", path)
	got := s.run(t, "config", "check", path).want(t, 2)
	if diff := cmp.Diff(want, got.out); diff != "" {
		t.Error(diff)
	}
	s.with("GOSLO_URL=").run(t, "ping", "lab", "--timeout", "9s", "--config-file", path).want(t, 2).wantErr(t, path+":3: [DEFAULT] rpc_response_timeout", "\n       "+path+":6: [oslo_messaging_rabbit] rabbit_ha_queues", "goslo config check "+path)
}

func TestConfigCheckPassesFilesInUse(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"../../testdata/nova.conf": "0 errors, 6 warnings", "../../testdata/cinder.conf": "0 errors, 0 warnings"} {
		if got := newShell(t).run(t, "config", "check", path).want(t, 0); !strings.HasSuffix(got.out, "ok: "+want+"\n") {
			t.Errorf("%s, want %s; output: %s", path, want, got.out)
		}
	}
}

func TestConfigCheckKnowsOldNames(t *testing.T) {
	t.Parallel()
	path := writeConfig(t, "[DEFAULT]\nrabbit_password = hunter2\n[oslo_messaging_rabbit]\nrabbit_hosts = a:5672,b:5672\nkombu_ssl_version = TLSv1_2\n")
	got := newShell(t).run(t, "config", "check", path).want(t, 0)
	for _, want := range []string{
		":2: warning: [DEFAULT] rabbit_password: will be removed: use transport_url",
		":4: warning: [oslo_messaging_rabbit] rabbit_hosts: will be removed: use transport_url", ":5: warning: [oslo_messaging_rabbit] kombu_ssl_version: an old name; write ssl_version",
	} {
		if !strings.Contains(got.out, path+want) {
			t.Errorf("not said: %s\n%s", want, got.out)
		}
	}
	if strings.Contains(got.out, "hunter2") || strings.Count(got.out, "\n") != 4 {
		t.Errorf("output: %s", got.out)
	}
}

func TestConfigSample(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	sample := s.run(t, "config", "sample").want(t, 0).out
	if got := s.run(t, "config", "check", writeConfig(t, sample), "--strict").want(t, 0); got.out != "ok: 0 errors, 0 warnings\n" {
		t.Errorf("the sample is doubtful: %s", got.out)
	}
	var answer struct{ Sample string }
	got := s.run(t, "config", "sample", "--json").want(t, 0)
	if err := json.Unmarshal([]byte(got.out), &answer); err != nil || answer.Sample != sample {
		t.Errorf("as JSON: %v, %s", err, got.out)
	}
}

// The sample has every option of the real oslo.messaging for RPC and RabbitMQ, with its type, limits, choices and default.
func TestConfigSampleAgreesWithOsloMessaging(t *testing.T) {
	t.Parallel()
	const program = `
import io, sys, types as t
from oslo_config import cfg, generator
from oslo_messaging import opts
conf = t.SimpleNamespace(wrap_width=70, minimal=False, summarize=False)
for group, options in opts.list_opts():
    name = str(group or "DEFAULT")
    if name not in ("DEFAULT", "oslo_messaging_rabbit", "oslo_messaging_amqp"):
        continue
    for opt in options:
        out = io.StringIO()
        generator._OptFormatter(conf, out).format(opt, name)
        limits = ["%s=%s" % (k, getattr(opt.type, k)) for k in ("min", "max") if getattr(opt.type, k, None) is not None]
        choices = list(getattr(opt.type, "choices", None) or [])
        print(name, opt.type.type_name, ",".join(limits), ",".join(choices), out.getvalue().splitlines()[-1], sep="|")
`
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", "-c", program).Output()
	if err != nil {
		t.Fatalf("oslo.messaging did not run: %v\ninstall it: apt-get install python3-oslo.messaging", err)
	}
	// What the sample says otherwise, and why.
	known := map[string]string{
		"rpc_conn_pool_size":                "moved to oslo_messaging_rabbit in later releases",
		"conn_pool_min_size":                "moved to oslo_messaging_rabbit in later releases",
		"conn_pool_ttl":                     "moved to oslo_messaging_rabbit in later releases",
		"transport_url":                     "the default bus is the embedded one",
		"ssl_enforce_hostname_verification": "on in later releases",
		"heartbeat_rate":                    "3 in later releases",
		"rabbit_quroum_max_memory_length":   "the name is spelled right in later releases",
		"rabbit_quroum_max_memory_bytes":    "the name is spelled right in later releases",
		"addressing_mode":                   "another word is an error",
		"idle_timeout":                      "on here, or a connection that was cut is never noticed",
		"pre_settled":                       "casts are not settled before the broker has them (docs/adr/0021)",
		"reply_link_credit":                 "the program asks for what it needs",
		"rpc_server_credit":                 "the program asks for what it needs",
		"notify_server_credit":              "the listener asks for what it needs",
		"rabbit_transient_queues_ttl":       "0 is allowed in later releases",
		"rabbit_retry_interval":             "limited in later releases",
		"rabbit_retry_backoff":              "limited in later releases",
		"rabbit_interval_max":               "limited in later releases",
	}
	sample := parseSample(newShell(t).run(t, "config", "sample").want(t, 0).out)
	n := 0
	for line := range strings.Lines(string(out)) {
		parts := strings.Split(strings.TrimRight(line, "\n"), "|")
		name := regexp.MustCompile(`^#(\w+) =`).FindStringSubmatch(parts[4])[1]
		if known[name] != "" {
			continue
		}
		n++
		got, ok := sample[parts[0]+"|"+name]
		if want := strings.Join(parts[1:], "|"); !ok || got != want && got != strings.Replace(want, "<None>", "", 1) {
			t.Errorf("[%s] %s is %q, want %q", parts[0], name, got, want)
		}
	}
	if n < 20 {
		t.Errorf("%d options were compared:\n%s", n, out)
	}
}

// parseSample takes a sample apart: group|name to type|limits|choices|line.
func parseSample(text string) map[string]string {
	options := make(map[string]string)
	group, limits, choices, comment := "", []string{}, "", ""
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case strings.HasPrefix(line, "["):
			group = strings.Trim(line, "[]")
		case line == "":
			limits, choices, comment = nil, "", ""
		case strings.HasPrefix(line, "# Minimum value: "):
			limits = append(limits, "min="+line[len("# Minimum value: "):])
		case strings.HasPrefix(line, "# Maximum value: "):
			limits = append(limits, "max="+line[len("# Maximum value: "):])
		case strings.HasPrefix(line, "# Possible values: "):
			choices = strings.ReplaceAll(line[len("# Possible values: "):], ", ", ",")
		case strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# "):
			name, _, _ := strings.Cut(line[1:], " ")
			kind := regexp.MustCompile(`\(([a-z ]+ value)\)`).FindStringSubmatch(comment + " (unknown value)")[1]
			options[group+"|"+name] = kind + "|" + strings.Join(limits, ",") + "|" + choices + "|" + line
		default:
			comment += strings.TrimPrefix(line, "#")
		}
	}
	return options
}

// The sample has the options that the transport knows, and no others; their defaults are fine, and less than their minimum is not.
func TestConfigSampleAgreesWithTheTransport(t *testing.T) {
	t.Parallel()
	for group, scheme := range map[string]string{"oslo_messaging_rabbit": "rabbit", "oslo_messaging_amqp": "amqp"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			sampleAgrees(t, group, scheme+"://127.0.0.1:1/?")
		})
	}
}

func sampleAgrees(t *testing.T, group, nowhere string) {
	t.Helper()
	s := newShell(t).with("GOSLO_URL=")
	refusal := s.run(t, "ping", "lab", "--url", nowhere+"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz=1").want(t, 2).err
	_, list, _ := strings.Cut(refusal, "there are ")
	list, _, _ = strings.Cut(list, "\n")
	known := strings.Split(list, ", ")
	slices.Sort(known)

	var names, defaults, tooSmall, limited []string
	for key, option := range parseSample(s.run(t, "config", "sample").want(t, 0).out) {
		name, ours := strings.CutPrefix(key, group+"|")
		if !ours {
			continue
		}
		names = append(names, name)
		parts := strings.Split(option, "|")
		if _, value, _ := strings.Cut(parts[3], " = "); value != "" && value != "<None>" {
			defaults = append(defaults, name+"="+url.QueryEscape(value))
		}
		if least, ok := strings.CutPrefix(strings.Split(parts[1], ",")[0], "min="); ok {
			n, err := strconv.ParseFloat(least, 64)
			if err != nil {
				t.Fatal(err)
			}
			tooSmall, limited = append(tooSmall, fmt.Sprintf("%s=%v", name, n-1)), append(limited, name)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(known, names); diff != "" {
		t.Errorf("transport (-) and sample (+) disagree: %s", diff)
	}
	s.run(t, "ping", "lab", "--timeout", "1", "--url", nowhere+strings.Join(defaults, "&")).want(t, 5)
	s.run(t, "ping", "lab", "--url", nowhere+strings.Join(tooSmall, "&")).want(t, 2).wantErr(t, limited...)
}

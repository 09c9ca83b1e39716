package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"cal"}, "call"},
		{[]string{"call", "lab"}, "usage: goslo call TOPIC[/SERVER] METHOD [JSON-ARGS]"},
		{[]string{"call", "lab", "echo", "{}", "more"}, `"more" is one argument too many`},
		{[]string{"call", "lab", "echo", "{"}, "JSON-ARGS is not JSON"},
		{[]string{"call", "lab", "echo", "{\"é\":\n \"é\" 1}"}, "line 2, column 6: invalid character '1'"},
		{[]string{"call", "lab", "echo", ""}, "JSON-ARGS is empty"},
		{[]string{"call", "lab", "echo", "{\"arg\": \"\xff\"}"}, "not text in UTF-8"},
		{[]string{"call", "lab", "echo", "[1]"}, "must be a JSON object"},
		{[]string{"call", "lab", "echo", "@/nosuch/file"}, "/nosuch/file"},
		{[]string{"call", "lab", "echo", "{}", "--context", "7"}, "--context must be a JSON object"},
		{[]string{"call", "lab", "echo", "-", "--context", "-"}, "standard input"},
		{[]string{"call", "lab", "echo", "--timeout", "soon"}, `"soon" is not a time`},
		{[]string{"call", "lab", "echo", "--timeout", "-1"}, "not a time above zero"},
		{[]string{"call", "lab", "echo", "--monitor", "1"}, "the least is 2s"},
		{[]string{"call", "lab", "echo", "--version", "six"}, "six"},
		{[]string{"call", "/h1", "echo"}, "names no topic"},
		{[]string{"call", "lab/", "echo"}, "ends before the server's name"},
		{[]string{"call", "lab", "echo", "--nosuch"}, "--nosuch"},
		{[]string{"fanout", "lab/h1", "echo"}, "a fanout goes to all"},
		{[]string{"serve", "lab", "--workers", "0"}, "at least 1"},
		{[]string{"serve"}, "usage: goslo serve TOPIC"},
		{[]string{"version", "--log-level", "loud"}, "debug, info, warn, error and off"},
		{[]string{"ping", "lab", "--url", "rabit://h/"}, "did you mean rabbit://?"},
		{[]string{"ping", "lab", "--url", "pulsar://h/"}, "goslo: url pulsar://h/: no transport is called \"pulsar\"; there are rabbit, kombu, nats"},
		{[]string{"notify", "lab"}, "usage: goslo notify TOPIC|- EVENT_TYPE [JSON-PAYLOAD]"},
		{[]string{"notify", "", "x"}, "must not be empty"},
		{[]string{"notify", "lab", "x", "{"}, "JSON-PAYLOAD is not JSON"},
		{[]string{"notify", "lab", "x", "{} 1"}, "more than one JSON value"},
		{[]string{"notify", "lab", "x", "\"\xff\""}, "not text in UTF-8"},
		{[]string{"notify", "lab", "x", "@/nosuch/file"}, "/nosuch/file"},
		{[]string{"notify", "lab", "x", "{}", "--priority", "loud"}, "audit, debug, info, warn, error, critical, sample"},
		{[]string{"notify", "lab", "x", "{}", "--version", "3.0"}, "1.0 and 2.0"},
		{[]string{"notify", "lab", "x", "{}", "--driver", "test"}, "messagingv2"},
		{[]string{"notify", "lab", "x", "{}", "--driver", "routing"}, "routing_config"},
		{[]string{"notify", "lab", "x", "{}", "--driver", "log", "--version", "1.0"}, "both say"},
		{[]string{"notify", "lab", "x", "-", "--context", "-"}, "--context cannot come from standard input"},
		{[]string{"listen", ""}, "must not be empty"},
		{[]string{"listen", "--pool", "p", "--steal"}, "without a pool"},
		{[]string{"listen", "--count", "-1"}, "at least 1"},
		{[]string{"listen", "--priority", "info,loud"}, "loud"},
		{[]string{"listen", "--filter", "host=x"}, "KEY=REGEXP"},
		{[]string{"listen", "--filter", "publisher=x,publisher=y"}, "publisher twice"},
		{[]string{"listen", "--filter", "payload.a=("}, "payload.a: error parsing regexp"},
		{[]string{"listen", "--filter", "payload.a="}, "expression is empty"},
		{[]string{"listen", "--filter", "metadata.host=x"}, "metadata.message_id"},
		{[]string{"zmq", "nosuch"}, `unknown command "nosuch" for "goslo zmq"`},
		{[]string{"zmq", "keys"}, "usage: goslo zmq keys NAME"},
		{[]string{"zmq", "keys", "../a"}, "--folder"},
		{[]string{"ping", "lab", "--url", "localhost"}, "rabbit://"},
		{[]string{"ping", "lab", "--url", "rabbit://u:secret@h/?sls=1"}, "did you mean ssl?"},
		{[]string{"ping", "lab", "--config-file", "/nosuch.conf"}, "/nosuch.conf"},
		{[]string{"demo", "--listen", "nosuch"}, "--listen"},
		{[]string{"broker", "--listen", "nosuch"}, "it is host:port"},
		{[]string{"broker", "--listen", "127.0.0.1:70000"}, "not within 1 to 65535"},
		{[]string{"flow", "POST", "/servers/{id}/action"}, "--route 'POST /...'"},
		{[]string{"help", "nosuch"}, `unknown command "nosuch"`},
		{[]string{"completion", "nosuch"}, `unknown command "nosuch"`},
		{[]string{"config", "nosuch"}, `unknown command "nosuch" for "goslo config"`},
		{[]string{"config", "check"}, "usage: goslo config check FILE..."},
		{[]string{"config", "check", "/nosuch.conf"}, "/nosuch.conf: 1 error, 0 warnings"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			shell := s
			if strings.Contains(strings.Join(test.args, " "), "--config-file") {
				shell = s.with("GOSLO_URL=")
			}
			got := shell.run(t, test.args...).want(t, 2)
			got.wantErr(t, test.want, "see goslo")
			if strings.Contains(got.err, "secret") {
				t.Errorf("a password is shown:\n%s", got.err)
			}
			if strings.Count(got.err, "goslo: ") != 1 {
				t.Errorf("not said once who complains:\n%s", got.err)
			}
		})
	}
}

func TestUsageErrorAsJSON(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, args := range [][]string{
		{"call", "lab", "echo", "[", "--json"},
		{"--json", "call"},
		{"--json", "cal"},
		{"version", "--nosuch", "--json"},
		{"help", "nosuch", "--json=true"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			got := s.run(t, args...).want(t, 2)
			var f struct {
				Error struct {
					Code         int
					Kind, Advice string
				}
			}
			if err := json.Unmarshal([]byte(got.err), &f); err != nil || f.Error.Code != 2 || f.Error.Kind != "usage" || f.Error.Advice == "" {
				t.Errorf("error = %+v (%v)\n%s", f, err, got.err)
			}
		})
	}
	if got := s.run(t, "version", "--nosuch", "--", "--json").want(t, 2); !strings.HasPrefix(got.err, "goslo: ") {
		t.Errorf("an argument is taken for a flag:\n%s", got.err)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, command := range []string{"", "demo", "serve", "call", "cast", "fanout", "ping", "notify", "listen", "broker", "config", "config check", "config sample", "zmq", "zmq keys", "flow", "new", "new method", "version"} {
		args := append(strings.Fields(command), "--help")
		got := s.run(t, args...).want(t, 0)
		for _, part := range []string{"Usage:", "Examples:", "--url", "goslo " + command} {
			if !strings.Contains(got.out, part) {
				t.Errorf("help of %q lacks %q", command, part)
			}
		}
	}
	if got := s.run(t).want(t, 0); !strings.Contains(got.out, "Exit codes") {
		t.Errorf("goslo alone prints:\n%s", got.out)
	}
	if got := s.run(t, "completion", "bash").want(t, 0); !strings.Contains(got.out, "__start_goslo") {
		t.Error("no completion for bash")
	}
	if got := s.run(t, "__complete", "call", "--log-level", "").want(t, 0); !strings.Contains(got.out, "debug") {
		t.Errorf("completion of --log-level: %s", got.out)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	if got := s.run(t, "version").want(t, 0); !strings.HasPrefix(got.out, "goslo ") || !strings.Contains(got.out, "go1.") {
		t.Errorf("output: %s", got.out)
	}
	var v struct{ Version, Go string }
	got := s.run(t, "version", "--json").want(t, 0)
	if err := json.Unmarshal([]byte(got.out), &v); err != nil || v.Version == "" || v.Go == "" {
		t.Errorf("version = %+v (%v)", v, err)
	}
}

func TestOutputCannotBeWritten(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }() // nothing was written
	c := newShell(t).command(t, []string{"version", "--json"})
	var errs bytes.Buffer
	c.Stdout, c.Stderr = full, &errs
	var exit *exec.ExitError
	if err := c.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(errs.String(), `"kind":"failed"`) {
		t.Errorf("%v\n%s", err, &errs)
	}
}

func TestWhereTheBusComesFrom(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.serve(t)
	var own string
	for _, v := range s.env {
		if url, ok := strings.CutPrefix(v, "GOSLO_URL="); ok {
			own = url
		}
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	dead := "rabbit://u:s3cret@" + closedPort(t) + "/"
	good := write("good.conf", "[DEFAULT]\ntransport_url = "+own+"\n")
	bad := write("bad.conf", "# a comment\n[DEFAULT]\ndebug = true\ntransport_url = "+strings.ReplaceAll(dead, "$", "$$")+"\n")
	elsewhere := write("exchange.conf", "[DEFAULT]\ncontrol_exchange = nova\n")
	broken := write("broken.conf", "[DEFAULT]\npassword s3cret\n")
	holes := write("holes.conf", "[DEFAULT]\ntransport_url = rabbit://u:s3cret@$my_ip/\n")
	tls := write("tls.conf", "[DEFAULT]\ntransport_url = "+dead+"?rabbit_login_method=PLAIN\n[oslo_messaging_rabbit]\nssl = true\nrabbit_login_method = AMQPLAIN\nrpc_conn_pool_size = 3\n")
	badTLS := write("bad-tls.conf", "[oslo_messaging_rabbit]\nssl_ca_file = /nosuch/ca.pem\n")
	slow := write("slow.conf", "[DEFAULT]\nrpc_response_timeout = soon\n")
	quick := write("quick.conf", "[DEFAULT]\nrpc_response_timeout = 1\n")
	oldest := write("oldest.conf", "[oslo_messaging_rabbit]\nrabbit_hosts = "+strings.TrimSuffix(strings.TrimPrefix(dead, "rabbit://u:s3cret@"), "/")+"\nrabbit_password = s3cret\n")
	without := s.with("GOSLO_URL=")

	s.with("GOSLO_URL="+dead).run(t, "ping", "lab", "--url", own).want(t, 0)
	without.run(t, "ping", "lab", "--config-file", good).want(t, 0)
	without.run(t, "ping", "lab", "--config-file", bad, "--config-file", good).want(t, 0)
	s.run(t, "ping", "lab", "--config-file", bad).want(t, 0) // $GOSLO_URL comes first
	without.with("OS_DEFAULT__TRANSPORT_URL="+own).run(t, "ping", "lab", "-c", bad).want(t, 0)
	for _, inUse := range []string{"../../testdata/nova.conf", "../../testdata/cinder.conf"} {
		without.with("OS_DEFAULT__TRANSPORT_URL="+own).run(t, "ping", "lab", "-c", inUse, "--exchange", "openstack").want(t, 0)
	}

	// conforms: CFG-03
	without.run(t, "call", "lab", "echo", "--config-file", good, "--config-file", slow).want(t, 2).wantErr(t, slow+":2: [DEFAULT] rpc_response_timeout")
	s.run(t, "call", "lab", "sleep", `{"seconds": 5}`, "--config-file", quick).want(t, 4).wantErr(t, "timed out after")

	for _, test := range []struct {
		name  string
		shell *shell
		code  int
		args  []string
		want  string
	}{
		{"later files win", without, 5, []string{"--config-file", good, "--config-file", bad}, bad + ":4"},
		{"the environment", s.with("GOSLO_URL=" + dead), 5, nil, "($GOSLO_URL)"},
		{"the flag", s, 5, []string{"--url", dead}, "(--url)"},
		{"another exchange", without, 3, []string{"--config-file", good, "--config-file", elsewhere}, "nobody listens"},
		{"the exchange's flag", s, 3, []string{"--exchange", "nova"}, "nobody listens"},
		{"no bus in the files", without, 2, []string{"--config-file", elsewhere}, "no transport_url in [DEFAULT]"},
		{"a broken file", without, 2, []string{"--config-file", broken}, broken + ":2"},
		{"options of the group", without, 5, []string{"--config-file", tls}, "/?rabbit_login_method=PLAIN (" + tls + ":2)"},
		{"an option without effect", without, 5, []string{"--config-file", tls, "--log-level", "info"}, "option=rpc_conn_pool_size at=" + tls + ":6"},
		{"options by their oldest names", without, 5, []string{"--config-file", oldest}, "option=rabbit_password at=" + oldest + ":3 use=transport_url"},
		{"options of another file", without, 2, []string{"--config-file", tls, "--config-file", badTLS}, badTLS + ":2: [oslo_messaging_rabbit] ssl_ca_file: open /nosuch/ca.pem"},
		{"a hole in the value", without, 2, []string{"--config-file", holes}, holes + ":2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := test.shell.run(t, append([]string{"ping", "lab"}, test.args...)...).want(t, test.code)
			got.wantErr(t, test.want)
			if strings.Contains(got.err, "s3cret") {
				t.Errorf("a password is shown:\n%s", got.err)
			}
		})
	}
}

// closedPort returns an address of this machine where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // the address is known
	return l.Addr().String()
}

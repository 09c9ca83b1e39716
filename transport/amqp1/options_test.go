package amqp1_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/amqp1"
)

// settings are lines of a file: name = value.
func settings(lines ...string) []transport.Setting {
	var list []transport.Setting
	for i, line := range lines {
		name, value, _ := strings.Cut(line, " = ")
		list = append(list, transport.Setting{Name: name, Value: value, At: fmt.Sprintf("nova.conf:%d", i+1)})
	}
	return list
}

func TestOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "nosuch.pem")
	for query, want := range map[string]string{ //nolint:gosec // G101: no real secrets.
		"pre_settled=rpc-cast,rpc-shout":                  `option pre_settled: "rpc-shout" is not one of rpc-call, rpc-reply, rpc-cast, notify`,
		"addressing_mode=wild":                            `option addressing_mode: "wild" is not one of dynamic, legacy, routable`,
		"default_send_timeout=1":                          `option default_send_timeout: "1" is not within 5 to 86400 seconds`,
		"ssl_ca_file=" + missing:                          "option ssl_ca_file: open " + missing,
		"ssl_cert_file=" + missing:                        "option ssl_cert_file: with ssl_key_file: open " + missing,
		"ssl=true&ssl_key_file=" + missing:                "option ssl_key_file: does not work without ssl_cert_file",
		"ssl=true&ssl_key_password=secret":                "option ssl_key_password: keys with a password cannot be read here",
		"sasl_mechanisms=GSSAPI":                          "option sasl_mechanisms: none of them is known here; there are EXTERNAL, PLAIN, ANONYMOUS",
		"sasl_mechanisms=EXTERNAL":                        "it needs ssl_cert_file and ssl_key_file",
		"idle_timout=1":                                   `option "idle_timout": unknown; did you mean idle_timeout?`,
		"username=u":                                      "option username: only configuration files may still have it",
		"trace=perhaps&connection_retry_interval=0&ssl=1": `option connection_retry_interval: "0" is not within 1 to `,
	} {
		err := config(t, "amqp://u:secret@127.0.0.1:1/?"+query).Check()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: %v\nwant %s", query, err, want)
		}
	}
	if err := config(t, "amqps://127.0.0.1:1/?ssl=false").Check(); err == nil || !strings.Contains(err.Error(), "amqps://") {
		t.Errorf("amqps without TLS: %v", err)
	}
	if err := config(t, "rabbit://127.0.0.1:1/").Check(); err == nil || !strings.Contains(err.Error(), "amqp, amqps or qpid") {
		t.Errorf("another scheme: %v", err)
	}
}

// Options come from the URL, else from files, and those that mean nothing here are explained.
//
// conforms: AMQP1-18
func TestOptionsOfFiles(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	host, port, _ := strings.Cut(node.Addr(), ":")
	var log strings.Builder
	c := config(t, "qpid://?addressing_mode=legacy")
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	c.Settings = settings(
		"qpid_hostname = "+host, "qpid_port = "+port, "protocol = tcp", "username = ",
		"addressing_mode = routable", "trace = true", "sasl_config_dir = /etc/sasl2", "default_reply_retry = 3", "server_request_prefx = x",
	)
	bus, err := amqp1.Open(testContext(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Close(testContext(t)); err != nil {
		t.Error(err)
	}
	for _, words := range [][]string{
		{"level=WARN", "obsolete", "option=qpid_hostname", "at=nova.conf:1", "use=transport_url"},
		{"level=WARN", "obsolete", "option=protocol", "use=ssl"},
		{"level=INFO", "no effect", "option=trace"},
		{"level=INFO", "no effect", "option=sasl_config_dir"},
		{"level=INFO", "no effect", "option=default_reply_retry"},
		{"level=WARN", "unknown option", "option=server_request_prefx", "did_you_mean=server_request_prefix"},
	} {
		found := slices.ContainsFunc(strings.Split(log.String(), "\n"), func(line string) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
		})
		if !found {
			t.Errorf("no line of the log has %q:\n%s", words, log.String())
		}
	}
}

// The page for operators has every option, and no other.
func TestDocumentedOptions(t *testing.T) {
	t.Parallel()
	err := config(t, "amqp://127.0.0.1:1/?zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz=1").Check()
	if err == nil {
		t.Fatal("no error")
	}
	_, list, ok := strings.Cut(err.Error(), "there are ")
	if !ok {
		t.Fatalf("it does not say which options there are: %v", err)
	}
	text, err := os.ReadFile("../../docs/amqp1.md")
	if err != nil {
		t.Fatal(err)
	}
	_, now, _ := strings.Cut(string(text), "## Options")
	now, _, _ = strings.Cut(now, "### Older names")
	var got []string
	for line := range strings.Lines(now) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
			got = append(got, name[1])
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(strings.Split(list, ", "), got); diff != "" {
		t.Errorf("-options +documented:\n%s", diff)
	}
}

//go:build zmq

package zmq_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config/messaging"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/zmq"
)

func check(t testing.TB, text string, settings ...transport.Setting) error {
	t.Helper()
	u, err := transport.ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return zmq.Config{URL: u, Settings: settings}.Check()
}

// known are the options that there are.
func known(t testing.TB) []string {
	t.Helper()
	err := check(t, "zmq:///?0123456789012345678901234567890123456789=1")
	if err == nil {
		t.Fatal("no error")
	}
	_, list, ok := strings.Cut(err.Error(), "there are ")
	if !ok {
		t.Fatalf("it does not say which options there are: %v", err)
	}
	return strings.Split(list, ", ")
}

// The documentation has every option that there is, and no other.
func TestOptionsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/zmq.md")
	if err != nil {
		t.Fatal(err)
	}
	now, _, _ := strings.Cut(string(text), "## Older names")
	var got []string
	for line := range strings.Lines(now) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 {
			continue
		}
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
			got = append(got, name[1])
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(known(t), got); diff != "" {
		t.Errorf("-options +documented:\n%s", diff)
	}
}

// What package messaging declares is what the transport knows, with defaults that it takes and limits that it has.
func TestDeclarationsAgreeWithTheTransport(t *testing.T) {
	t.Parallel()
	var names []string
	defaults := url.Values{"rpc_zmq_ipc_dir": {t.TempDir()}}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[messaging.ZMQOptions]()) {
		name := f.Tag.Get("config")
		if name == "" {
			continue
		}
		names = append(names, name)
		if value := f.Tag.Get("default"); value != "" {
			defaults.Set(name, value)
		}
		for tag, step := range map[string]float64{"min": -1, "max": 1} {
			limit := f.Tag.Get(tag)
			if limit == "" {
				continue
			}
			n, err := strconv.ParseFloat(limit, 64)
			if err != nil {
				t.Fatal(err)
			}
			var options *transport.OptionsError
			if err := check(t, fmt.Sprintf("zmq+redis:///?%s=%v", name, n+step)); !errors.As(err, &options) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%v: %v, want an error, as package messaging says", name, n+step, err)
			}
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(known(t), names); diff != "" {
		t.Errorf("-options +declared:\n%s", diff)
	}
	if err := check(t, "zmq+redis:///?"+defaults.Encode()); err != nil {
		t.Errorf("with all defaults: %v", err)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"rpc_zmq_min_port=6000&rpc_zmq_max_port=6000":    "rpc_zmq_max_port",
		"rpc_zmq_bind_addresss=x":                        "did you mean rpc_zmq_bind_address?",
		"zmq_immediate=perhaps":                          "zmq_immediate",
		"rpc_zmq_serialization=xml":                      "msgpack",
		"rpc_zmq_ipc_dir=/dev/null/x":                    "rpc_zmq_ipc_dir",
		"zmq_linger=x&zmq_tcp_keepalive=2":               "zmq_tcp_keepalive",
		"zmq_heartbeat_timeout=0&zmq_high_water_mark=-1": "zmq_high_water_mark",
	} {
		if err := check(t, "zmq:///?"+query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want it to tell of %s", query, err, want)
		}
	}
}

func TestOptionsWithoutEffectAreSaid(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	u, err := transport.ParseURL(busURL(t) + "&rpc_use_acks=true&rpc_zmq_host=h&zmq_linger=-1")
	if err != nil {
		t.Fatal(err)
	}
	bus, err := zmq.Open(testContext(t), zmq.Config{URL: u, Logger: slog.New(slog.NewTextHandler(&said, nil)), Settings: []transport.Setting{
		{Name: "use_pub_sub", Value: "true", At: "nova.conf:1"}, {Name: "rpc_cast_timeout", Value: "3", At: "nova.conf:2", Stray: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Close(testContext(t)); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"option=rpc_use_acks", "option=rpc_zmq_host", "option=zmq_linger", "option=use_pub_sub at=nova.conf:1"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, &said)
		}
	}
}

func TestLongFolderIsRefused(t *testing.T) {
	t.Parallel()
	if err := check(t, "zmq:///?rpc_zmq_ipc_dir="+t.TempDir()+strings.Repeat("/long", 20)); err == nil || !strings.Contains(err.Error(), "shorter rpc_zmq_ipc_dir") {
		t.Errorf("a folder whose name is too long for sockets: %v", err)
	}
}

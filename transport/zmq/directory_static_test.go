//go:build zmq

package zmq

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/zmq/curve"
)

// where is what a static directory says of others: endpoint and key.
func where(t testing.TB, d directory, topic string) [][2]string {
	t.Helper()
	list, err := d.find(t.Context(), "nova", topic, true)
	if err != nil {
		t.Fatal(err)
	}
	var all [][2]string
	for _, p := range list {
		if p.ID == "" && p.Unasked {
			all = append(all, [2]string{p.Endpoints[0], p.Key})
		}
	}
	return all
}

func TestStaticFromURL(t *testing.T) {
	t.Parallel()
	d := openDirectory(t, "zmq://h1:5555,h1:5556,[fe80::1]:5555/v", "a", slog.New(slog.DiscardHandler))
	want := [][2]string{{"tcp://h1:5555", ""}, {"tcp://h1:5556", ""}, {"tcp://[fe80::1]:5555", ""}}
	if diff := cmp.Diff(want, where(t, d, "compute")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := d.topics(t.Context(), "nova"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("topics: %v", err)
	}
}

// A process that is in its own list knows what it serves, and is told once.
func TestStaticKnowsItself(t *testing.T) {
	t.Parallel()
	d := openDirectory(t, "zmq://h2:5555,h3:5555/", "a", slog.New(slog.DiscardHandler))
	if err := d.join(t.Context(), member{ID: "a", Endpoints: []string{"ipc:///run/a", "tcp://h3:5555"}}); err != nil {
		t.Fatal(err)
	}
	serve(t, d, service{"nova", "compute", "h3"}, service{"nova", "conductor", "h3"})
	list, err := d.find(t.Context(), "nova", "compute", false)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	i := slices.IndexFunc(list, func(p provider) bool { return p.ID == "a" })
	if i < 0 || !slices.Equal(list[i].Servers, []string{"h3"}) || list[i].Unasked {
		t.Errorf("ourselves among %+v", list)
	}
	if err := d.unserve(t.Context(), service{"nova", "compute", "h3"}); err != nil {
		t.Fatal(err)
	}
	if list, _ = d.find(t.Context(), "nova", "compute", false); len(list) != 1 || list[0].ID != "" {
		t.Errorf("after we serve no more: %+v", list)
	}
}

func TestStaticFileIsReadAgain(t *testing.T) {
	t.Parallel()
	pair, err := curve.NewPair()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "peers")
	write := func(text string, at time.Time) {
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Chtimes(path+".new", at, at), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	write("# our hosts\n\nh1:5555\ntcp://h2:5555 "+pair.String()+"\n", now.Add(-time.Hour))
	var said logs
	d := openDirectory(t, "zmq:///?directory_file="+path, "a", said.logger())
	want := [][2]string{{"tcp://h1:5555", ""}, {"tcp://h2:5555", pair.String()}}
	if diff := cmp.Diff(want, where(t, d, "compute")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	write("ipc:///run/nova/compute", now)
	if diff := cmp.Diff([][2]string{{"ipc:///run/nova/compute", ""}}, where(t, d, "compute")); diff != "" {
		t.Errorf("after it has changed (-want +got):\n%s", diff)
	}
	for i, broken := range []string{"h1:5555\nh2\n", "h1:5555\nh2:70000\n", "h1:5555\nh2:5555 nokey\n", "h1:5555\nipc://x\n"} {
		write(broken, now.Add(time.Duration(i+1)*time.Minute))
		if diff := cmp.Diff([][2]string{{"ipc:///run/nova/compute", ""}}, where(t, d, "compute")); diff != "" {
			t.Errorf("while it reads %q (-want +got):\n%s", broken, diff)
		}
		where(t, d, "compute")
		if n := strings.Count(said.String(), path+":2: "); n != i+1 {
			t.Errorf("of %q: %d complaints, want %d in all:\n%s", broken, n, i+1, said.String())
		}
	}
}

func TestDirectoryOptionsRefused(t *testing.T) {
	t.Parallel()
	for url, why := range map[string]string{ //nolint:gosec // It is a URL with a password that is to be refused.
		"zmq://h1/":                                "host h1: give a name and a port",
		"zmq://nova:secret@h1:5555/":               "no users and passwords",
		"zmq+redis://h1:70000/":                    "port 70000 is not within",
		"zmq+redis://h1/?tls_ca=/ca.pem":           "add tls=true",
		"zmq+redis://h1/?tls=1&tls_cert=/cert.pem": "tls_cert and tls_key go together",
		"zmq+redis://h1/?zmq_target_expire=0.5":    "zmq_target_expire: \"0.5\" is not within 1 to 3600 seconds",
		"zmq+redis://h1/?zmq_target_update=6":      "at most half of zmq_target_expire, which is 10s",
		"zmq+redis://h1/?zmq_target_expires=6":     "did you mean zmq_target_expire?",
	} {
		_, err := readURL(t, url)
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: %v, want %q", url, err, why)
		}
	}
	d, err := readURL(t, "zmq:///?directory_file=/nonexistent/peers")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.openDirectory(t.Context(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "/nonexistent/peers") {
		t.Errorf("of a file that is not there: %v", err)
	}
}

// A nova.conf from the days of oslo.messaging's own driver has times that do not go together here.
func TestOldTargetTimes(t *testing.T) {
	t.Parallel()
	u, err := transport.ParseURL("zmq+redis://h1/")
	if err != nil {
		t.Fatal(err)
	}
	s, options, err := Config{URL: u, Settings: []transport.Setting{
		{Name: "rpc_zmq_ipc_dir", Value: t.TempDir()},
		{Group: "DEFAULT", Name: "zmq_target_expire", Value: "300", At: "nova.conf:1", Stray: true},
		{Group: "DEFAULT", Name: "zmq_target_update", Value: "180", At: "nova.conf:2", Stray: true},
	}}.read()
	if err != nil {
		t.Fatal(err)
	}
	if r := s.directory.redis; r.expire != 300*time.Second || r.update != 150*time.Second {
		t.Errorf("expire %v, update %v", r.expire, r.update)
	}
	var said bytes.Buffer
	options.Log(t.Context(), slog.New(slog.NewTextHandler(&said, nil)))
	if n := strings.Count(said.String(), "used is 2m30s"); n != 1 || !strings.Contains(said.String(), "at=nova.conf:2 why=") {
		t.Errorf("said %d times:\n%s", n, &said)
	}
}

func FuzzParseEndpoints(f *testing.F) {
	f.Add("h1:5555\n# a comment\ntcp://[::1]:5555 rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\nipc:///run/a\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseEndpoints(text)
		if err != nil {
			return
		}
		for _, m := range list {
			line := m.Endpoints[0] + " " + m.Key
			again, err := parseEndpoints(line)
			if err != nil || len(again) != 1 || !cmp.Equal(again[0], m) {
				t.Errorf("%q reads as %+v: %v", line, again, err)
			}
		}
	})
}

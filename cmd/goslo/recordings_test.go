package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/cloudtest"
)

var updateRecordings = flag.Bool("recordings", false, "make the recordings of terminals in docs/operating.md anew")

// recordings are what docs/operating.md shows of terminals, by the names of their places there. Each begins with its command lines.
var recordings = map[string][]string{
	"doctor": {"goslo doctor -c /etc/nova/nova.conf"},
	"ping": {
		"goslo ping compute --all -c /etc/nova/nova.conf",
		"goslo ping cinder-volume --all -c /etc/nova/nova.conf --expect vol-1.example,vol-2.example,vol-3.example",
	},
	"trace": {"goslo trace req-11111111-2222-3333-4444-555555555555 --firehose 60s -c /etc/nova/nova.conf"},
	"top":   {"goslo top -c /etc/nova/nova.conf"},
}

const operating = "../../docs/operating.md"

// TestRecordings finds the recordings in the documentation, or makes them, of a small all-Python cloud: see scripts/recordings.
func TestRecordings(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(operating)
	if err != nil {
		t.Fatal(err)
	}
	if *updateRecordings {
		text = record(t, text)
		if err := os.WriteFile(operating, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, commands := range recordings {
		place := recordingPlace(name).FindSubmatch(text)
		if place == nil {
			t.Errorf("%s: %s has no place for it", name, operating)
			continue
		}
		for _, command := range commands {
			if !strings.Contains(string(place[1]), "$ "+command+"\n") {
				t.Errorf("%s: there is no recording of %s; make it with scripts/recordings", name, command)
			}
		}
	}
}

// recordingPlace is a place in a document.
func recordingPlace(name string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)<!-- recording of ` + name + `, by scripts/recordings -->\n(.*?)<!-- end of recording -->\n`)
}

func record(t *testing.T, text []byte) []byte {
	t.Helper()
	r := recorder{cloud: cloudtest.Start(t, brokertest.RabbitManaged(t))}
	r.config = filepath.Join(t.TempDir(), "nova.conf")
	conf := fmt.Sprintf("[DEFAULT]\ntransport_url = %s\ncontrol_exchange = nova\n", r.cloud.URL)
	if err := os.WriteFile(r.config, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	r.shell = newShell(t).with("GOSLO_URL=")
	names := strings.NewReplacer(r.config, "/etc/nova/nova.conf", r.cloud.Vhost, "nova") // as they are elsewhere
	for name, make := range map[string]func(*testing.T, string) string{"doctor": r.run, "ping": r.run, "trace": r.trace, "top": r.top} {
		var b strings.Builder
		b.WriteString("<!-- recording of " + name + ", by scripts/recordings -->\n```console\n")
		for _, command := range recordings[name] {
			b.WriteString("$ " + command + "\n" + names.Replace(make(t, command)))
		}
		b.WriteString("```\n<!-- end of recording -->\n")
		text = recordingPlace(name).ReplaceAllLiteral(text, []byte(b.String()))
	}
	return text
}

// A recorder runs commands on a cloud.
type recorder struct {
	cloud  *cloudtest.Cloud
	shell  *shell
	config string
}

// args are those of a command line, less the program, at the cloud.
func (r *recorder) args(command string) []string {
	args := strings.Fields(strings.ReplaceAll(command, "/etc/nova/nova.conf", r.config))[1:]
	return append(args, "--management", r.cloud.Node.ManagementURL())
}

// run is what a command prints, standard error last, and its exit code where that is not 0.
func (r *recorder) run(t *testing.T, command string) string {
	t.Helper()
	got := r.shell.run(t, r.args(command)...)
	return got.out + got.err + exitCode(got.code)
}

func exitCode(code int) string {
	if code == 0 {
		return ""
	}
	return fmt.Sprintf("$ echo $?\n%d\n", code)
}

// trace has a request pass by.
func (r *recorder) trace(t *testing.T, command string) string {
	t.Helper()
	p := r.shell.start(t, r.args(command)...)
	const waiting = "waiting for "
	p.waitErr(t, waiting)
	r.cloud.Build(t, "cmp-1", 0.4, map[string]any{"request_id": "req-11111111-2222-3333-4444-555555555555"})
	out := p.out.rest()
	p.err.rest() // its end
	said := strings.SplitAfter(p.err.String(), "\n")
	begun := slices.IndexFunc(said, func(line string) bool { return strings.Contains(line, waiting) }) + 1
	return strings.Join(said[:begun], "") + out + strings.Join(said[begun:], "")
}

var escapes = regexp.MustCompile(`\x1b\[[?0-9;]*[A-Za-z]`)

// top is its screen, after some work.
func (r *recorder) top(t *testing.T, command string) string {
	t.Helper()
	p := openPTY(t)
	goslo := r.shell.with("NO_COLOR=1").command(t, append(r.args(command), "--interval", "1s"))
	goslo.Stdin, goslo.Stdout, goslo.Stderr = p.slave, p.slave, p.slave
	goslo.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := goslo.Start(); err != nil {
		t.Fatal(err)
	}
	busy := regexp.MustCompile(`(?s).*\x1b\[H(.*\ncompute +[1-9][0-9.]* .*?)\x1b\[J`)
	var screen []string
	brokertest.Await(t, "the screen shows work", func() bool {
		for i := range 10 {
			r.cloud.Call(t, cloudtest.API, cloudtest.Request{Topic: cloudtest.ComputeTopic, Server: "cmp-1", Version: "6.0", Method: "echo", Args: map[string]any{"arg": i}}, nil)
		}
		screen = busy.FindStringSubmatch(p.text())
		return screen != nil
	})
	if _, err := p.master.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if err := goslo.Wait(); err != nil {
		t.Fatal(errors.Join(err, errors.New(p.text())))
	}
	return strings.ReplaceAll(escapes.ReplaceAllString(screen[1], ""), "\r", "") + "\n"
}

package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
)

// python starts testdata/server.py, which is killed at the end of the test.
func python(t *testing.T, url string) *process {
	t.Helper()
	p := startProcess(t, exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/server.py", url))
	p.wait(t, "ready")
	return p
}

func TestPythonServer(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t))
	server := python(t, url)
	s := newShell(t).with("GOSLO_URL=" + url)

	got := s.run(t, "call", "py", "echo", `{"arg": [12345678901234567890, null, "ü"]}`, "--version", "6.1", "--json").want(t, 0)
	if got.out != `[12345678901234567890,null,"\u00fc"]`+"\n" {
		t.Errorf("output: %s", got.out)
	}
	got = s.run(t, "call", "py/py-1", "whoami", "--version", "6.0", "--context", `{"user_id": "u1"}`).want(t, 0)
	if got.out != "\"u1\"\n" {
		t.Errorf("output: %s", got.out)
	}
	s.run(t, "ping", "py", "--version", "6.0").want(t, 0)
	s.run(t, "ping", "py/py-1", "--version", "6.3").want(t, 0)
	if log := server.err.String(); strings.Contains(log, "Traceback") {
		t.Errorf("a ping is in the server's log:\n%s", log)
	}
	s.run(t, "ping", "py").want(t, 0) // it answers, whatever the version
	s.run(t, "call", "py", "fail", "--version", "6.0").want(t, 1).wantErr(t, "KeyError", "remote traceback", "no such thing", "server.py")
	s.run(t, "call", "py", "echo").want(t, 1).wantErr(t, "--version")
}

package rabbit_test

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// startPeer runs a Python peer until the test ends, and returns once it listens or has sent.
func startPeer(t *testing.T, url, topic, act string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/peer.py", url, topic, act)
	var problems strings.Builder
	cmd.Stderr = &problems
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; install it with: apt-get install python3-oslo.messaging", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		t.Fatalf("the Python peer said %q, %v: %s; install it with: apt-get install python3-oslo.messaging", line, err, problems.String())
	}
}

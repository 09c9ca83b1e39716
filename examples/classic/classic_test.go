package classic_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/freeport"
)

// TestClassic runs the two programs as their README says, on an embedded bus of their own.
func TestClassic(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	bin := t.TempDir()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "./server", "./client").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	env := append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir(), fmt.Sprintf("GOSLO_URL=embedded://:%d", freeport.One(t)))

	server := exec.CommandContext(ctx, filepath.Join(bin, "server"))
	server.Env = env
	var stderr strings.Builder
	server.Stderr = &stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Process.Kill() //nolint:errcheck // it has ended by itself unless the test failed
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the server printed %q (%v)\n%s", line, err, &stderr)
	}

	client := func(args ...string) string {
		t.Helper()
		c := exec.CommandContext(ctx, filepath.Join(bin, "client"), args...)
		c.Env = env
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("client %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if got := client(); got != "hello\n" {
		t.Errorf("the client printed %q, want hello", got)
	}
	unknown := exec.CommandContext(ctx, filepath.Join(bin, "client"), "sotp")
	unknown.Env = env
	if out, err := unknown.CombinedOutput(); err == nil || !strings.Contains(string(out), "sotp") {
		t.Errorf("client sotp: %v\n%s", err, out)
	}
	client("stop")
	if err := server.Wait(); err != nil {
		t.Errorf("the server did not stop well: %v\n%s", err, &stderr)
	}
}

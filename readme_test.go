package goslo_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/goslo/goslo/internal/freeport"
)

// readmeBlock returns the first block of that language under the heading in the README.
func readmeBlock(t *testing.T, heading, language string) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("README.md has no section %q", heading)
	}
	_, rest, ok := strings.Cut(section, "```"+language+"\n")
	block, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatalf("README.md has no %s block under %q", language, heading)
	}
	return block
}

// aloneOnTheMachine is an environment in which the embedded bus is of this test only.
func aloneOnTheMachine(t *testing.T) []string {
	t.Helper()
	return append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir(), fmt.Sprintf("GOSLO_URL=embedded://:%d", freeport.One(t)))
}

// readmeProgram builds and runs the program under a heading, and returns the lines that it prints.
func readmeProgram(t *testing.T, heading string) []string {
	t.Helper()
	// Not on the port that this machine's real programs may use.
	source := strings.Replace(readmeBlock(t, heading, "go"), `goslo.Open(ctx, "")`, `goslo.Open(ctx, os.Getenv("GOSLO_URL"))`, 1)
	source = strings.Replace(source, `"log"`, `"log"; "os"`, 1)
	dir := t.TempDir()
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	place, err := filepath.Abs("examples/readme/main.go")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {place: file}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "go", "run", "-overlay", overlayFile, "./examples/readme")
	run.Env = aloneOnTheMachine(t)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// The programs of the README build, and print what their comments say.
func TestReadmePrograms(t *testing.T) {
	t.Parallel()
	if lines := readmeProgram(t, "Notifications"); len(lines) != 1 || lines[0] != "image.host-1 has uploaded debian" {
		t.Errorf("the program about notifications printed %q", lines)
	}
	lines := readmeProgram(t, "A program")
	if len(lines) != 2 || lines[0] != "hello, Ada <nil>" ||
		!strings.HasSuffix(lines[1], `nobody listens on topic "greeter" as server "host-9"`) {
		t.Errorf("the program printed %q", lines)
	}
}

// The commands of the README do what their comments say.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(readmeBlock(t, "The command line", "sh")), "\n")
	if len(lines) != 4 {
		t.Fatalf("the test knows 4 commands, not %q", lines)
	}
	env := aloneOnTheMachine(t)
	command := func(line string) *exec.Cmd {
		line, _, _ = strings.Cut(line, "#")
		cmd := exec.CommandContext(t.Context(), "bash", "-c", "exec "+strings.TrimSuffix(strings.TrimSpace(line), "&"))
		cmd.Env = env
		return cmd
	}
	serve := command(lines[0])
	serve.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run, and the program that it runs
	said, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-serve.Process.Pid, syscall.SIGKILL)
		_ = serve.Wait()
	})
	if !bufio.NewScanner(said).Scan() {
		t.Fatal("serve ended without a word")
	}
	if out, err := command(lines[1]).Output(); err != nil || strings.TrimSpace(string(out)) != "42" {
		t.Errorf("%s\nprinted %q, %v", lines[1], out, err)
	}
	if out, err := command(lines[2]).Output(); err != nil || !strings.Contains(string(out), "test answers") {
		t.Errorf("%s\nprinted %q, %v", lines[2], out, err)
	}
	// go run has an exit code of its own, and tells the program's.
	if out, err := command(lines[3]).CombinedOutput(); err == nil || !strings.Contains(string(out), "exit status 3") {
		t.Errorf("%s\nprinted %q, %v", lines[3], out, err)
	}
}

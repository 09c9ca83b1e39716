package brokertest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// childVariable makes a copy of the test binary start a process in the folder that it names, and hang.
const childVariable = "GOSLO_BROKERTEST_CHILD"

func TestProcessesDieWithTheTestBinary(t *testing.T) {
	if folder := os.Getenv(childVariable); folder != "" {
		p, err := startProcess(folder, "sleep", exec.Command("sleep", "600"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Print("\npid ", p.pid, "\n")
		<-p.done
		return
	}
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestProcessesDieWithTheTestBinary$")
	cmd.Env = append(os.Environ(), childVariable+"="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "pid %d", &pid)
	}
	if startTime(pid) == "" {
		t.Errorf("process %d of the other test binary does not run", pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // says that it was killed
	Await(t, "the end of the killed test binary's process", func() bool { return startTime(pid) == "" })
}

// The owner of leftovers is gone for good, which no test binary can say of itself: this test makes such a folder by hand.
func TestSweepRemovesWhatADeadTestBinaryLeft(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	left, kept := filepath.Join(base, "left"), filepath.Join(base, "kept")
	for folder, owner := range map[string]string{left: "1 0\n", kept: identity(os.Getpid())} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, ownerFile), []byte(owner), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := startProcess(left, "sleep", exec.Command("sleep", "600"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	if err := sweep(base); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("folder of the dead owner: %v, want it gone", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("folder of a living owner: %v", err)
	}
}

func TestAnotherProcessUnderTheSameIDIsNotAlive(t *testing.T) {
	t.Parallel()
	if _, ok := alive(identity(os.Getpid())); !ok {
		t.Error("this very process is not alive")
	}
	if pid, ok := alive(identity(os.Getpid())[:1] + " 12345\n"); ok {
		t.Errorf("process %d is taken for one with another start", pid)
	}
}

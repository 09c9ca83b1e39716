package brokertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	ownerFile     = "owner"     // one line, "pid start", of the test binary
	processesFile = "processes" // one such line for each process started in the folder
)

// base is where this user's test brokers have their folders.
func base() string {
	return filepath.Join(os.TempDir(), "goslo-brokertest-"+strconv.Itoa(os.Getuid()))
}

// newFolder makes a folder for one broker, after removing what earlier test binaries left when they were killed.
func newFolder(kind string) (string, error) {
	if err := os.MkdirAll(base(), 0o700); err != nil {
		return "", err
	}
	if err := sweep(base()); err != nil {
		return "", err
	}
	folder, err := os.MkdirTemp(base(), kind+"-")
	if err != nil {
		return "", err
	}
	// Until the owner's name is in it, a sweep in another test binary leaves the folder alone.
	owner := filepath.Join(folder, ownerFile)
	if err := os.WriteFile(owner+".new", []byte(identity(os.Getpid())), 0o600); err != nil {
		return "", err
	}
	return folder, os.Rename(owner+".new", owner)
}

func identity(pid int) string { return fmt.Sprintf("%d %s\n", pid, startTime(pid)) }

// alive returns the process id in an identity line, when that very process still lives.
func alive(line string) (pid int, ok bool) {
	number, start, _ := strings.Cut(strings.TrimSpace(line), " ")
	pid, err := strconv.Atoi(number)
	return pid, err == nil && start != "" && startTime(pid) == start
}

func recordProcess(folder string, pid int) error {
	f, err := os.OpenFile(filepath.Join(folder, processesFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(identity(pid))
	return err
}

// sweep kills the processes and removes the folders whose test binary is gone.
func sweep(base string) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return err
	}
	for _, e := range entries {
		folder := filepath.Join(base, e.Name())
		owner, err := os.ReadFile(filepath.Join(folder, ownerFile))
		if err != nil {
			continue // being made, or being swept by another test binary
		}
		if _, ok := alive(string(owner)); ok {
			continue
		}
		processes, _ := os.ReadFile(filepath.Join(folder, processesFile))
		for line := range strings.Lines(string(processes)) {
			if pid, ok := alive(line); ok {
				_ = signalGroup(pid, syscall.SIGKILL)
			}
		}
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("remove the leftovers of an earlier run: %w", err)
		}
	}
	return nil
}

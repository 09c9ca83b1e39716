package brokertest

import (
	"fmt"
	"math/rand/v2"
	"net"
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

// freePorts returns n loopback ports on which nobody listens, and which no other test binary is given while this one lives. They lie below
// the range from which Linux takes the ports of outgoing connections, so that a broker finds its port free when it is restarted.
func freePorts(n int) ([]int, error) {
	const lowest, highest = 10000, 32000
	folder := filepath.Join(base(), "ports")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	var ports []int
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := lowest + rand.IntN(highest-lowest)
		if !reserve(filepath.Join(folder, strconv.Itoa(port))) {
			continue
		}
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = l.Close()
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("find %d free loopback ports between %d and %d: none", n, lowest, highest)
}

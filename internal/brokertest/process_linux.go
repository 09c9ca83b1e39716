package brokertest

import (
	"errors"
	"fmt"
	"syscall"
)

const (
	pause  = syscall.SIGSTOP
	resume = syscall.SIGCONT
)

// tied has a child be of a process group of its own, which the kernel kills when the thread that started it ends.
func tied() (*syscall.SysProcAttr, error) {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}, nil
}

// signalGroup sends s to a process group, and says nothing about one that has ended.
func signalGroup(pid int, s syscall.Signal) error {
	if err := syscall.Kill(-pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %v to process group %d: %w", s, pid, err)
	}
	return nil
}

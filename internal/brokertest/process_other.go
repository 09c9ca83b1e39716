//go:build !linux

package brokertest

import (
	"fmt"
	"runtime"
	"syscall"
)

// Signals that are never sent here.
const (
	pause  = syscall.Signal(-1)
	resume = syscall.Signal(-2)
)

func tied() (*syscall.SysProcAttr, error) {
	return nil, fmt.Errorf("brokertest: brokers for tests run on Linux, where a process can be tied to its parent's end; this is %s", runtime.GOOS)
}

func signalGroup(int, syscall.Signal) error { return nil }

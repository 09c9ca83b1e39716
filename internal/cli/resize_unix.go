//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// notifySize has changes of the terminal's size told.
func notifySize(c chan<- os.Signal) { signal.Notify(c, syscall.SIGWINCH) }

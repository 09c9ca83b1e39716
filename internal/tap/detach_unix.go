//go:build unix

package tap

import (
	"os/exec"
	"syscall"
)

// detach gives the process a session of its own, so that what ends a terminal's programs does not end it.
func detach(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps the signals of a terminal from a process: whoever started it tells it when to end.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

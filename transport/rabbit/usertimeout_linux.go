package rabbit

import (
	"net"
	"syscall"
	"time"
)

// tcpUserTimeout is the kernel's TCP_USER_TIMEOUT, which package syscall does not name.
const tcpUserTimeout = 18

// setUserTimeout has the kernel give a connection up when bytes are not acknowledged for so long (RMQ-CONN-14), 0 = as
// long as the system says. Without it a dead network is noticed by what does not come, not by what does not go.
func setUserTimeout(c net.Conn, limit time.Duration) error {
	tcp, ok := below(c).(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(limit.Milliseconds()))
	})
	if err == nil {
		err = refused
	}
	return err
}

//go:build unix

package rabbit

import (
	"net"
	"syscall"
)

// A direct writer gives the kernel what it takes without waiting.
type direct struct {
	conn syscall.RawConn
	try  func(fd uintptr) bool // made once; a closure for each write would be garbage each time
	p    []byte
	n    int
}

// newDirect returns nil where there is no way to that, as with TLS.
func newDirect(c net.Conn) *direct {
	plain, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	conn, err := plain.SyscallConn()
	if err != nil {
		return nil
	}
	d := &direct{conn: conn}
	d.try = func(fd uintptr) bool {
		n, _ := syscall.Write(int(fd), d.p)
		d.n = max(n, 0)
		return true
	}
	return d
}

// write returns how many bytes of p the kernel has taken. It has no errors: whoever writes the rest meets them.
func (d *direct) write(p []byte) int {
	d.p, d.n = p, 0
	_ = d.conn.Write(d.try)
	d.p = nil
	return d.n
}

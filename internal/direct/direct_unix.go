//go:build unix

package direct

import (
	"net"
	"syscall"
)

// A Writer gives the kernel what it takes without waiting. It is for one goroutine at a time.
type Writer struct {
	conn syscall.RawConn
	try  func(fd uintptr) bool // made once; a closure for each write would be garbage each time
	p    []byte
	n    int
}

// New returns nil where there is no way to that, as with TLS.
func New(c net.Conn) *Writer {
	plain, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	conn, err := plain.SyscallConn()
	if err != nil {
		return nil
	}
	w := &Writer{conn: conn}
	w.try = func(fd uintptr) bool {
		n, _ := syscall.Write(int(fd), w.p)
		w.n = max(n, 0)
		return true
	}
	return w
}

// Write returns how many bytes of p the kernel has taken. It has no errors: whoever writes the rest meets them.
func (w *Writer) Write(p []byte) int {
	w.p, w.n = p, 0
	_ = w.conn.Write(w.try)
	w.p = nil
	return w.n
}

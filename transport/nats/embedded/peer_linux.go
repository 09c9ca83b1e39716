package embedded

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// samePeer says whether the process at the other end of a loopback connection is this user's. A server's
// name can be copied by anyone who binds the port before the next host does; the kernel's word cannot.
func samePeer(conn net.Conn) error {
	here, ok := conn.LocalAddr().(*net.TCPAddr)
	there, ok2 := conn.RemoteAddr().(*net.TCPAddr)
	if !ok || !ok2 {
		return fmt.Errorf("not a TCP connection: %s", conn.RemoteAddr())
	}
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return fmt.Errorf("find out who listens there: %w", err)
	}
	defer f.Close()
	// Seen from the other end: its own address comes first.
	want := procAddress(there) + " " + procAddress(here)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text()) // sl local remote state queues timer retransmissions uid ...
		if len(fields) < 8 || fields[1]+" "+fields[2] != want {
			continue
		}
		if uid := strconv.Itoa(os.Geteuid()); fields[7] != uid {
			return fmt.Errorf("a program of the user with ID %s listens there, this process runs as %s", fields[7], uid)
		}
		return nil
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("find out who listens there: %w", err)
	}
	return errors.New("the connection has no other end on this machine")
}

// procAddress writes an IPv4 address as /proc/net/tcp does: the address in the machine's byte order.
func procAddress(a *net.TCPAddr) string {
	ip := a.IP.To4()
	if ip == nil {
		return ""
	}
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip), a.Port)
}

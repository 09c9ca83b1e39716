package embedded

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
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
	// A server that listens on all addresses has an IPv6 socket, also for who comes by IPv4.
	for path, address := range map[string]func(*net.TCPAddr) string{"/proc/net/tcp": procAddress, "/proc/net/tcp6": procAddress6} {
		// Seen from the other end: its own address comes first.
		uid, err := socketOwner(path, address(there)+" "+address(here))
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist): // a kernel without IPv6 has no tcp6
			return fmt.Errorf("find out who listens there: %w", err)
		case uid == "":
		case uid != strconv.Itoa(os.Geteuid()):
			return fmt.Errorf("a program of the user with ID %s listens there, this process runs as %d", uid, os.Geteuid())
		default:
			return nil
		}
	}
	return errors.New("the kernel does not tell who listens there, and it may be a program of another user")
}

// socketOwner is the user ID of who has a connection, by its two addresses; "" when it is not in the table.
func socketOwner(path, addresses string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text()) // sl local remote state queues timer retransmissions uid ...
		if len(fields) >= 8 && fields[1]+" "+fields[2] == addresses {
			return fields[7], nil
		}
	}
	return "", lines.Err()
}

// procAddress writes an IPv4 address as /proc/net/tcp does: the address in the machine's byte order.
func procAddress(a *net.TCPAddr) string {
	ip := a.IP.To4()
	if ip == nil {
		return ""
	}
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip), a.Port)
}

// procAddress6 writes an address as /proc/net/tcp6 does, IPv4 mapped to IPv6: four words in the machine's byte order.
func procAddress6(a *net.TCPAddr) string {
	ip := a.IP.To16()
	if ip == nil {
		return ""
	}
	var b strings.Builder
	for word := range slices.Chunk(ip, 4) {
		fmt.Fprintf(&b, "%08X", binary.NativeEndian.Uint32(word))
	}
	return fmt.Sprintf("%s:%04X", b.String(), a.Port)
}

package load

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// processMemory reads proc_pid_status(5).
func processMemory() (now, peak int64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return Unknown, Unknown
	}
	return statusField(status, "VmRSS:"), statusField(status, "VmHWM:")
}

// statusField is a field in bytes; the kernel has it in kB.
func statusField(status []byte, name string) int64 {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(rest)), " kB"), 10, 64)
			if err != nil {
				return Unknown
			}
			return kib << 10
		}
	}
	return Unknown
}

// A socket is one of this process.
type socket struct {
	local, remote string
	listening     bool
	carried       Carried
}

// connections reads the kernel's counters (tcp_info, since Linux 4.19) of all TCP connections that this process has, by their inodes.
func connections() (map[string]Connection, error) {
	const folder = "/proc/self/fd"
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	sockets := make(map[string]socket)
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 { // what the process was given is not the bus
			continue
		}
		inode, err := os.Readlink(folder + "/" + e.Name())
		if err != nil || !strings.HasPrefix(inode, "socket:") { // closed meanwhile, or no socket
			continue
		}
		s, ok, err := readSocket(fd)
		if err != nil {
			return nil, err
		}
		if ok {
			sockets[inode] = s
		}
	}
	return withoutEnds(sockets), nil
}

// withoutEnds finds out which connections were accepted: their port is one that somebody here listens on.
func withoutEnds(sockets map[string]socket) map[string]Connection {
	listening, ends := make(map[string]bool), make(map[string]bool)
	for _, s := range sockets {
		if s.listening {
			listening[port(s.local)] = true
		} else {
			ends[s.local] = true
		}
	}
	all := make(map[string]Connection)
	for inode, s := range sockets {
		if !s.listening {
			all[inode] = Connection{Carried: s.carried, Accepted: listening[port(s.local)], Inside: ends[s.remote]}
		}
	}
	return all
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// readSocket reads one; not ok means that it carries nothing to anywhere, or was closed meanwhile.
func readSocket(fd int) (s socket, ok bool, err error) {
	local, err := unix.Getsockname(fd)
	if err != nil {
		return socket{}, false, nil //nolint:nilerr // it was closed
	}
	switch local := local.(type) {
	case *unix.SockaddrInet4:
		s.local = fmt.Sprintf("%v:%d", local.Addr, local.Port)
	case *unix.SockaddrInet6:
		s.local = fmt.Sprintf("%v:%d", mapped(local.Addr), local.Port)
	case *unix.SockaddrUnix:
		if _, err := unix.Getpeername(fd); err == nil {
			return socket{}, false, errors.New("a connection is a Unix socket, whose bytes the kernel does not count")
		}
		return socket{}, false, nil
	default:
		return socket{}, false, nil // such as netlink, on which names of hosts are looked up
	}
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return socket{}, false, nil //nolint:nilerr // it is UDP, or was closed
	}
	if s.listening = info.State == tcpListen; s.listening {
		return s, true, nil
	}
	remote, err := unix.Getpeername(fd)
	if err != nil {
		return socket{}, false, nil //nolint:nilerr // it is not connected
	}
	switch remote := remote.(type) {
	case *unix.SockaddrInet4:
		s.remote = fmt.Sprintf("%v:%d", remote.Addr, remote.Port)
	case *unix.SockaddrInet6:
		s.remote = fmt.Sprintf("%v:%d", mapped(remote.Addr), remote.Port)
	}
	s.carried = Carried{Sent: int64(info.Bytes_sent - info.Bytes_retrans), Received: int64(info.Bytes_received)}
	return s, true, nil
}

const tcpListen = 10 // TCP_LISTEN of the kernel's net/tcp_states.h

// mapped is an address as IPv4 where it is one: a listener for both has such peers.
func mapped(a [16]byte) any {
	if bytes.Equal(a[:12], []byte{10: 0xff, 11: 0xff}) {
		return [4]byte(a[12:])
	}
	return a
}

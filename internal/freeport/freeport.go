// Package freeport finds loopback ports for servers that tests start.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Ports lie below the range from which Linux takes those of outgoing connections, so that a server finds its port free when it is restarted, and
// below those of embedded buses with a name.
const lowest, highest = 10000, 20000

// One is a loopback port as [Find] finds them.
func One(t testing.TB) int {
	t.Helper()
	ports, err := Find(1)
	if err != nil {
		t.Fatal(err)
	}
	return ports[0]
}

// Find returns n loopback ports on which nobody listens, and which no other process of this user's is given while this one lives.
func Find(n int) ([]int, error) {
	folder := filepath.Join(os.TempDir(), "goslo-freeport-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("freeport: %w", err)
	}
	var ports []int
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := lowest + rand.IntN(highest-lowest)
		if !reserve(filepath.Join(folder, strconv.Itoa(port))) {
			continue
		}
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = l.Close()
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("freeport: find %d free loopback ports between %d and %d: none", n, lowest, highest)
}

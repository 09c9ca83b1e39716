//go:build !linux

package rabbit

import (
	"net"
	"time"
)

// setUserTimeout does nothing: what replaces it here are heartbeats.
func setUserTimeout(net.Conn, time.Duration) error { return nil }

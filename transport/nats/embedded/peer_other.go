//go:build !linux

package embedded

import "net"

// samePeer can be told on Linux only. Elsewhere the server's name is all that a client goes by; the server
// still proves its clients.
func samePeer(net.Conn) error { return nil }

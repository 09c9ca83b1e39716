//go:build !unix

package rabbit

import "net"

// A direct writer does not exist here: the socket's goroutine writes everything.
type direct struct{}

func newDirect(net.Conn) *direct { return nil }

func (*direct) write([]byte) int { return 0 }

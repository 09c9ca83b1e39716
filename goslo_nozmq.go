//go:build !zmq

package goslo

import (
	"fmt"

	"github.com/goslo/goslo/transport"
)

// planZMQ says what is missing.
func (c Config) planZMQ(u *transport.URL) (plan, error) {
	return plan{}, &ConfigError{fmt.Errorf("goslo: url %s: this program was built without ZeroMQ; build it with cgo and go build -tags zmq, for which Debian's packages libzmq3-dev and pkg-config are needed", u)}
}

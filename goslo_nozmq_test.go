//go:build !zmq

package goslo_test

import (
	"strings"
	"testing"

	"github.com/goslo/goslo"
)

func TestZMQSaysHowToBuildIt(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"zmq://", "zmq+redis://u:secret@h:6379/"} {
		bus, err := goslo.Open(t.Context(), url)
		if bus != nil || !isA[*goslo.ConfigError](err) {
			t.Fatalf("%s: Open = %v, %v; want a *goslo.ConfigError", url, bus, err)
		}
		for _, want := range []string{"go build -tags zmq", "libzmq3-dev"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error lacks %q: %v", url, want, err)
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a password: %v", url, err)
		}
	}
}

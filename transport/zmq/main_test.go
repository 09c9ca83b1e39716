//go:build zmq

package zmq_test

import (
	"os"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
)

// TestMain is the program of a server too, which the tests start and kill.
func TestMain(m *testing.M) {
	if url := os.Getenv("ZMQ_TEST_SERVE"); url != "" {
		os.Exit(serve(url, os.Getenv("ZMQ_TEST_NAME"), os.Getenv("ZMQ_TEST_LOG")))
	}
	brokertest.Main(m)
}

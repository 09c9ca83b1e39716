package brokertest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main is the TestMain of a package whose tests use this one. It runs the tests, ends the shared broker,
// reports goroutines that are left over as a failure, and exits.
func Main(m *testing.M, o ...goleak.Option) {
	if config := os.Getenv(natsConfigVariable); config != "" {
		os.Exit(serveNATS(config))
	}
	if config := os.Getenv(kafkaVariable); config != "" {
		os.Exit(serveKafka(config))
	}
	brokers.mu.Lock()
	brokers.main = true
	brokers.mu.Unlock()
	code := m.Run()
	if err := brokers.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "what the tests share did not end well:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(o...); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines left over after the tests:", err)
			code = 1
		}
	}
	os.Exit(code)
}

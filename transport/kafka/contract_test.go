package kafka_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/kafka"
	"github.com/goslo/goslo/transport/transporttest"
)

// RPC is errors.ErrUnsupported.
//
// conforms: KAFKA-01
func TestContract(t *testing.T) { //nolint:paralleltest // One case may count goroutines.
	node := brokertest.NewKafka(t, brokertest.KafkaOptions{})
	transporttest.Run(t, transporttest.Config{
		Open:  func(t testing.TB) transport.Transport { return dial(t, node.URL()) },
		Lacks: transporttest.Requests | transporttest.Sharing,
	})
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// dial opens the URL. The caller closes the connection.
func dial(t testing.TB, url string) *kafka.Conn {
	t.Helper()
	conn, err := kafka.Open(testContext(t), config(t, url))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func config(t testing.TB, url string) kafka.Config {
	t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return kafka.Config{URL: u, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

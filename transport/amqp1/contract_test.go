package amqp1_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/amqp1"
	"github.com/goslo/goslo/transport/transporttest"
)

// Pools are errors.ErrUnsupported.
//
// conforms: NPOOL-05, AMQP1-10
func TestContractOnProton(t *testing.T) { //nolint:paralleltest // One case counts goroutines.
	node := brokertest.NewProton(t)
	transporttest.Run(t, transporttest.Config{
		Open: func(t testing.TB) transport.Transport { return dial(t, node.URL()) },
		// What the broker does not do, see brokertest.ProtonNode, and legacy addresses join names by dots.
		Lacks: transporttest.Requeue | transporttest.Leave | transporttest.Redelivery | transporttest.Inspect | transporttest.Topics | transporttest.LiteralNames |
			transporttest.Multicast | transporttest.Absence | transporttest.Pools | transporttest.TemporaryPools,
	})
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// dial opens the URL. The caller closes the connection.
func dial(t testing.TB, url string) *amqp1.Conn {
	t.Helper()
	conn, err := amqp1.Open(testContext(t), config(t, url))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func config(t testing.TB, url string) amqp1.Config {
	t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return amqp1.Config{URL: u, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

func TestContractOnRabbitMQ(t *testing.T) { //nolint:paralleltest // One case counts goroutines.
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{Plugins: []string{brokertest.AMQP1Plugin}})
	transporttest.Run(t, transporttest.Config{
		Open:  func(t testing.TB) transport.Transport { return dial(t, node.AMQP1URL()) },
		Lacks: transporttest.Topics | transporttest.Pools | transporttest.TemporaryPools,
	})
}

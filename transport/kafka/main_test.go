package kafka_test

import (
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

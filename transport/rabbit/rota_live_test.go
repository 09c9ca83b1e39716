package rabbit_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// Checks of listeners with which all is well start no goroutine, and are asked for many at a time: they write less often than there are listeners.
func TestChecksTakeNoGoroutines(t *testing.T) { //nolint:paralleltest // It counts goroutines.
	const listeners = 40
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	var log lines
	bus := openURL(t, node.URLVhost(vhost)+"?probe_interval=0.2", rabbit.Config{Logger: log.logger()})
	for i := range listeners {
		l := listen(t, bus, transport.Address{Kind: transport.Topic, Topic: "stock", Server: fmt.Sprint(i)})
		s := &station{}
		s.receive(t, l)
	}
	published := bus.Statistics().Published
	before, most := runtime.NumGoroutine(), 0
	end := time.Now().Add(3 * time.Second)
	brokertest.Await(t, "some checks", func() bool {
		most = max(most, runtime.NumGoroutine())
		return time.Now().After(end) && bus.Statistics().Published > published
	})
	if extra := most - before; extra > listeners/4 {
		t.Errorf("%d goroutines besides the %d that there were", extra, before)
	}
	if log.count("") > 0 {
		t.Errorf("the log:\n%s", log.String())
	}
}

package benchmarks_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

var round = flag.Duration("round", time.Second, "how long a contender works in one round of a side-by-side benchmark")

// A contender does the same work as the others, by so many callers for d, and tells its rate and, when it is in this
// process, its CPU time per operation.
type contender struct {
	name string
	run  func(b *testing.B, callers int, d time.Duration) (perSecond float64, cpu time.Duration)
}

func inProcess(name string, op func() error) contender {
	return contender{name, func(b *testing.B, callers int, d time.Duration) (float64, time.Duration) {
		b.Helper()
		return rate(b, callers, d, op)
	}}
}

// BenchmarkCallSideBySide alternates Goslo, a bare amqp091-go echo of the same bytes without any guarantee, the
// same with the guarantees of a call, the same with all that a call does on the wire, and Python's oslo.messaging on one RabbitMQ. An iteration is a round of all of them; the figures are medians over the
// rounds. Run it with -benchtime 5x or more.
func BenchmarkCallSideBySide(b *testing.B) {
	node := brokertest.Rabbit(b)
	goslo := newPair(b, openRabbit(b))
	sideBySide(b, node, inProcess("goslo", goslo.call),
		inProcess("bare", newBareEcho(b, node.URL(), none).call),
		inProcess("bare-safe", newBareEcho(b, node.URL(), safe).call),
		inProcess("bare-same", newBareEcho(b, node.URL(), same).call),
		newPythonEcho(b, node.URL()).contender())
}

// BenchmarkCallAMQP1SideBySide alternates Goslo, bare go-amqp echoes of the same bytes, without any guarantee and with
// those of a call, and Python's oslo.messaging on an AMQP 1.0 broker, as BenchmarkCallSideBySide does. Proton's broker
// gives reply addresses, and is slow; RabbitMQ gives none, so that Python's driver does not work there.
func BenchmarkCallAMQP1SideBySide(b *testing.B) {
	b.Run("broker=proton", func(b *testing.B) {
		node := brokertest.NewProton(b)
		goslo := newPair(b, openAMQP1(b, node.URL()))
		sideBySide(b, node, inProcess("goslo", goslo.call),
			inProcess("bare", newBareAMQP1(b, node.URL(), "plain", "", false).call),
			inProcess("bare-safe", newBareAMQP1(b, node.URL(), "safe", "", true).call),
			newPythonEcho(b, node.URL()).contender())
	})
	b.Run("broker=rabbit", func(b *testing.B) {
		node := brokertest.RabbitAMQP1(b)
		goslo := newPair(b, openAMQP1(b, node.AMQP1URL()))
		sideBySide(b, node, inProcess("goslo", goslo.call),
			inProcess("bare", newBareAMQP1(b, node.AMQP1URL(), "plain", "bare.replies", false).call),
			inProcess("bare-safe", newBareAMQP1(b, node.AMQP1URL(), "safe", "bare.replies.safe", true).call))
	})
}

// BenchmarkCastSideBySide alternates confirmed casts by Goslo and deferred confirms of bare amqp091-go.
func BenchmarkCastSideBySide(b *testing.B) {
	node := brokertest.Rabbit(b)
	goslo := newPair(b, openRabbit(b))
	sideBySide(b, node, inProcess("goslo", goslo.cast), inProcess("bare", newBareEcho(b, node.URL(), none).cast))
}

// A broker tells what it costs.
type broker interface {
	CPUTime(t testing.TB) time.Duration
}

// sideBySide compares the first contender with each of the others. CPU times are per operation: of this
// process, client and server together, and of the broker, unless node is nil.
func sideBySide(b *testing.B, node broker, contenders ...contender) {
	b.Helper()
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			rates, cpus, brokers := make([][]float64, len(contenders)), make([][]float64, len(contenders)), make([][]float64, len(contenders))
			for i := range contenders { // warm up
				contenders[i].run(b, callers, *round/5)
			}
			for b.Loop() {
				for i, c := range contenders {
					before, started := brokerTime(b, node), time.Now()
					perSecond, cpu := c.run(b, callers, *round)
					spent := (brokerTime(b, node) - before).Seconds() / (perSecond * time.Since(started).Seconds())
					rates[i] = append(rates[i], perSecond)
					cpus[i] = append(cpus[i], float64(cpu.Microseconds()))
					brokers[i] = append(brokers[i], spent*1e6)
				}
			}
			for i, c := range contenders {
				b.ReportMetric(median(rates[i]), c.name+"/s")
				if node != nil {
					b.ReportMetric(median(brokers[i]), c.name+"-broker-us")
				}
				if cpu := median(cpus[i]); cpu > 0 {
					b.ReportMetric(cpu, c.name+"-cpu-us")
				}
				if i > 0 {
					b.ReportMetric(median(rates[0])/median(rates[i]), "x-"+c.name)
				}
			}
			b.ReportMetric(0, "ns/op") // a round's length says nothing
		})
	}
}

func brokerTime(b *testing.B, node broker) time.Duration {
	b.Helper()
	if node == nil {
		return 0
	}
	return node.CPUTime(b)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

package observe

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/goslo/goslo/transport"
)

// statistics makes metrics of what a bus counts, when they are asked for.
type statistics struct {
	meter transport.Meter
	all   []statistic
}

type statistic struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(transport.Statistics) float64
}

func newStatistics(name string, meter transport.Meter) *statistics {
	bus := prometheus.Labels{"bus": name}
	s := &statistics{meter: meter}
	add := func(kind prometheus.ValueType, name, help string, value func(transport.Statistics) float64) {
		s.all = append(s.all, statistic{prometheus.NewDesc(name, help, nil, bus), kind, value})
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	add(counter, "goslo_bus_published_total", "Messages handed to the bus, each time that they were.",
		func(s transport.Statistics) float64 { return float64(s.Published) })
	add(counter, "goslo_bus_confirmed_total", "Messages that the bus said to have.",
		func(s transport.Statistics) float64 { return float64(s.Confirmed) })
	add(counter, "goslo_bus_returned_total", "Messages that the bus gave back, because nobody listened.",
		func(s transport.Statistics) float64 { return float64(s.Returned) })
	add(counter, "goslo_bus_refused_total", "Messages that the bus refused otherwise.",
		func(s transport.Statistics) float64 { return float64(s.Refused) })
	add(counter, "goslo_bus_resent_total", "Messages handed to the bus once more, because a connection broke before its word.",
		func(s transport.Statistics) float64 { return float64(s.Resent) })
	add(gauge, "goslo_bus_connections", "Connections that the process keeps up.",
		func(s transport.Statistics) float64 { return float64(s.Connections) })
	add(gauge, "goslo_bus_connections_up", "Connections that are up.",
		func(s transport.Statistics) float64 { return float64(s.Connected) })
	add(counter, "goslo_bus_reconnects_total", "Connections made in place of one that was lost.",
		func(s transport.Statistics) float64 { return float64(s.Reconnects) })
	add(counter, "goslo_bus_away_seconds_total", "Time for which connections were lost, the sum over all.",
		func(s transport.Statistics) float64 { return s.Away.Seconds() })
	add(counter, "goslo_bus_blocked_seconds_total", "Time for which the bus took no messages.",
		func(s transport.Statistics) float64 { return s.Blocked.Seconds() })
	add(gauge, "goslo_bus_loopback_seconds", "Time that the last message of the process to itself took; 0 = none has been sent.",
		func(s transport.Statistics) float64 { return s.Loopback.Seconds() })
	add(counter, "goslo_deaf_total", "Checks that found a listener to miss what was sent to it.",
		func(s transport.Statistics) float64 { return float64(s.Deaf) })
	return s
}

// Describe is part of prometheus.Collector.
func (s *statistics) Describe(to chan<- *prometheus.Desc) {
	for _, one := range s.all {
		to <- one.desc
	}
}

// Collect is part of prometheus.Collector.
func (s *statistics) Collect(to chan<- prometheus.Metric) {
	now := s.meter.Statistics()
	for _, one := range s.all {
		to <- prometheus.MustNewConstMetric(one.desc, one.kind, one.value(now))
	}
}

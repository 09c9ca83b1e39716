package scale_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/chart"
)

const (
	flatCallers = 64
	flatCasters = 8
)

// flatGrowth is by how much what is alive may grow from the first look to the last, besides its fifth: what a run that is a minute old does
// not know yet, such as the ids of requests that a server remembers, is there at the first look.
const flatGrowth = 4 << 20

// measureFlat keeps up full load, and looks at memory and goroutines.
func measureFlat(t *testing.T, p *page) {
	limit := size(*soakFlag, 400*time.Millisecond)
	looks := size(10, 2)
	p.say("%d callers with 1 KiB both ways and %d senders of casts, as fast as they can, for %v on each bus, client and server in one process. Each line is after a garbage collection; the first is after a tenth of the time, which is when the load has come to its size.", flatCallers, flatCasters, limit)
	var rows [][]string
	lines := chart.Lines{Title: "Heap after a collection, under full load", X: chart.Axis{Name: "minutes"}, Y: chart.Axis{Name: "MiB"}}
	for _, open := range []func(*testing.T) *bus{openRabbit, openNATS} {
		b := open(t)
		line := chart.Line{Name: b.name}
		for _, l := range soak(t, b, limit, looks) {
			rows = append(rows, []string{
				b.name, l.at.Round(time.Second).String(), fmt.Sprint(l.calls), fmt.Sprint(l.casts), kib(l.Heap), mib(l.RSS), count(l.Goroutines), mib(l.broker),
			})
			line.Points = append(line.Points, chart.Point{X: l.at.Minutes(), Y: float64(l.Heap) / (1 << 20)})
		}
		lines.Lines = append(lines.Lines, line)
	}
	p.table([]string{"bus", "after", "calls", "casts", "heap", "RSS", "goroutines", "RSS of the broker"}, rows)
	p.chart("flat.svg", "Heap under full load over time", lines)
}

// A look is at one moment of a soak.
type look struct {
	usage
	at           time.Duration
	calls, casts int64
	broker       int64 // bytes
}

func soak(t *testing.T, b *bus, limit time.Duration, looks int) []look {
	t.Helper()
	pair := newPair(t, b)
	args := echoArgs{strings.Repeat("x", 1024)}
	pair.call(t, args)
	var calls, casts atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	under := func() bool { return time.Since(began) < limit }
	for range flatCallers {
		all.Go(func() {
			for under() && pair.call(t, args) {
				calls.Add(1)
			}
		})
	}
	for range flatCasters {
		all.Go(func() {
			for under() {
				if err := refresh.Cast(t.Context(), pair.client.To(serverName(0)), args); err != nil {
					t.Errorf("cast: %v", err)
					return
				}
				casts.Add(1)
			}
		})
	}
	var found []look
	tick := time.NewTicker(limit / time.Duration(looks+1))
	for range looks {
		<-tick.C
		found = append(found, look{used(t), time.Since(began), calls.Load(), casts.Load(), b.rss(t)})
	}
	tick.Stop()
	all.Wait()
	brokertest.Await(t, "every cast has run", func() bool { return pair.heard.Load() == casts.Load() })
	first, last := found[0], found[len(found)-1]
	if *fullFlag && last.Heap > first.Heap+first.Heap/5+flatGrowth {
		t.Errorf("%s: the heap has grown from %s to %s", b.name, kib(first.Heap), kib(last.Heap))
	}
	if last.Goroutines > first.Goroutines+first.Goroutines/10+10 {
		t.Errorf("%s: goroutines have grown from %d to %d", b.name, first.Goroutines, last.Goroutines)
	}
	return found
}

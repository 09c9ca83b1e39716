package rabbit

import (
	"math/rand/v2"
	"testing"
)

// A sender hears of its own message, once, by the first confirm that covers it, in whatever order they come.
func TestEachConfirmFindsItsSender(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		c := &channel{mux: &mux{}, confirming: true}
		var heard, want []int // how often each message was, and is to be
		for range 100 {
			for range random.IntN(20) {
				n := len(heard)
				heard, want = append(heard, 0), append(want, 0)
				c.published++
				c.await(confirmerFunc(func() { heard[n]++ }))
			}
			if len(heard) == 0 {
				continue
			}
			last, multiple := random.IntN(len(heard)), random.IntN(2) == 0
			first := last
			if multiple {
				first = 0
			} else if want[last] > 0 {
				continue // a broker confirms a message once
			}
			for i := first; i <= last; i++ {
				want[i] = 1
			}
			in := cursor{rest: frame(appendAck(nil, 1, uint64(last+1), multiple)).payload()[4:]}
			if err := c.settled(&in, true); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for i, n := range heard {
				if n != want[i] {
					t.Fatalf("seed %d: the sender of message %d of %d has heard of it %d times, want %d", seed, i+1, len(heard), n, want[i])
				}
			}
		}
	}
}

type confirmerFunc func()

func (f confirmerFunc) confirmed(bool) { f() }

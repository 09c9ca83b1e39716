package fifo_test

import (
	"math/rand/v2"
	"testing"

	"github.com/goslo/goslo/internal/fifo"
)

// It is a slice that is appended to and cut from the front, at any length.
func TestQueue(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	lengths := []int{0, 1, 3, 1500, 5000}
	var q fifo.Queue[int]
	var want []int
	for n := range 300 {
		for i := range lengths[random.IntN(len(lengths))] {
			q.Push(n*10000 + i)
			want = append(want, n*10000+i)
		}
		for range random.IntN(len(want) + 1) {
			if first, got := q.First(), q.Pop(); first != want[0] || got != want[0] {
				t.Fatalf("first is %d, and got %d, want %d", first, got, want[0])
			}
			want = want[1:]
		}
		if q.Len() != len(want) {
			t.Fatalf("%d are left, want %d", q.Len(), len(want))
		}
		if i := len(want) - 1; i >= 0 && q.At(i) != want[i] {
			t.Fatalf("the last is %d, want %d", q.At(i), want[i])
		}
	}
}

// A queue that is never quite empty takes no more memory than what waits in it.
func TestQueueThatIsNeverEmpty(t *testing.T) { //nolint:paralleltest // It counts allocations.
	var q fifo.Queue[int]
	for i := range 3 {
		q.Push(i)
	}
	pass := func() {
		for i := range 100_000 {
			q.Push(i)
			q.Pop()
		}
	}
	pass()
	if n := testing.AllocsPerRun(1, pass); n > 0 {
		t.Errorf("%v allocations while the queue is no longer than before", n)
	}
}

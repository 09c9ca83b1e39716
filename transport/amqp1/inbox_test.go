package amqp1

import "testing"

// An inbox that is never quite empty, as that of a listener slower than those who send, takes no more memory than what waits in it.
func TestInboxThatIsNeverEmpty(t *testing.T) {
	t.Parallel()
	b := inbox{wake: make(chan struct{}, 1)}
	for range 3 {
		b.push(arrival{again: true})
	}
	for range 100_000 {
		b.push(arrival{again: true})
		if a, ok := b.pop(); !ok || !a.again {
			t.Fatalf("popped %+v, %t", a, ok)
		}
	}
	if n := cap(b.queue); n > 1000 {
		t.Errorf("there is room for %d where 3 wait", n)
	}
	for range 3 {
		b.pop()
	}
	if a, ok := b.pop(); ok {
		t.Errorf("an empty inbox gave %+v", a)
	}
}

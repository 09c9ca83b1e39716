// Package fifo has a queue.
package fifo

// A Queue gives out what was put into it, in order, and keeps its memory while it is in use. The zero value is an empty one. It is not safe
// for concurrent use.
type Queue[T any] struct {
	items []T
	head  int
}

// Len is how many there are.
func (q *Queue[T]) Len() int { return len(q.items) - q.head }

// First is the one that Pop would return. There is one.
func (q *Queue[T]) First() T { return q.items[q.head] }

// At is the one that Pop would return after i others. There are more than i.
func (q *Queue[T]) At(i int) T { return q.items[q.head+i] }

// Push puts one in.
func (q *Queue[T]) Push(v T) { q.items = append(q.items, v) }

// Pop takes the first one out. There is one.
func (q *Queue[T]) Pop() T {
	var zero T
	v := q.items[q.head]
	q.items[q.head] = zero
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > 4096 {
			q.items = nil
		}
	case q.head >= 1024 && q.head > len(q.items)/2:
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return v
}

// Package benchmarks measures calls and casts over every bus, and side by side with what they are compared with: a
// bare client of the same broker, and Python's oslo.messaging. It holds tests only; docs/benchmarks.md has the figures.
package benchmarks

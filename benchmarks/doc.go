// Package benchmarks measures a call and a cast over every bus, for changes to be compared by (make bench-compare). What Goslo is compared
// with is in package compare; docs/benchmarks.md has the figures of both. It holds tests only.
package benchmarks

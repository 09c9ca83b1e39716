// Package direct writes to a connection as much as the kernel takes at once.
//
// A transport writes in a goroutine of its own, so that nobody who sends waits for a network that stalls. A sender who is alone
// writes this way instead, which spares waking that goroutine.
package direct

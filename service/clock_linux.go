package service

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// monotonicMicroseconds is the clock of MONOTONIC_USEC in sd_notify(3).
func monotonicMicroseconds() (int64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0, fmt.Errorf("service: read the monotonic clock: %w", err)
	}
	return t.Nano() / 1000, nil
}

//go:build unix

package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// processTimes is what the kernel has counted.
func processTimes() (cpu, system time.Duration, switches int64) {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return Unknown, Unknown, Unknown
	}
	system = time.Duration(r.Stime.Nano())
	return time.Duration(r.Utime.Nano()) + system, system, int64(r.Nvcsw) + int64(r.Nivcsw) //nolint:unconvert // they are shorter on some machines
}

//go:build !unix

package load

import "time"

// processTimes is not known here.
func processTimes() (cpu, system time.Duration, switches int64) { return Unknown, Unknown, Unknown }

package load

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// Unknown is a number that this machine does not tell.
const Unknown = -1

// A Usage is what a process has spent since its start, or between two of these.
type Usage struct {
	CPU      time.Duration `json:"cpu_ns"`     // user and system time; [Unknown]
	System   time.Duration `json:"system_ns"`  // of CPU, that in the kernel; [Unknown]
	Switches int64         `json:"switches"`   // context switches; [Unknown]
	Objects  int64         `json:"objects"`    // allocated on Go's heap
	Bytes    int64         `json:"bytes"`      // the same
	RSS      int64         `json:"rss_bytes"`  // memory that the process has now; [Unknown]
	Peak     int64         `json:"peak_bytes"` // the most it has had since its start; [Unknown]
	Routines int           `json:"goroutines"` // now
}

// Used reads what this process has spent.
func Used() Usage {
	u := Usage{Routines: runtime.NumGoroutine()}
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	u.Objects, u.Bytes = int64(samples[0].Value.Uint64()), int64(samples[1].Value.Uint64())
	u.CPU, u.System, u.Switches = processTimes()
	u.RSS, u.Peak = processMemory()
	return u
}

// Since is what was spent after before; memory and goroutines stay those of u.
func (u Usage) Since(before Usage) Usage {
	u.Objects -= before.Objects
	u.Bytes -= before.Bytes
	if u.CPU != Unknown {
		u.CPU -= before.CPU
		u.System -= before.System
		u.Switches -= before.Switches
	}
	return u
}

// Add adds what another process has spent.
func (u Usage) Add(other Usage) Usage {
	u.Objects += other.Objects
	u.Bytes += other.Bytes
	u.Routines += other.Routines
	u.CPU = sum(u.CPU, other.CPU)
	u.System = sum(u.System, other.System)
	u.Switches = sum(u.Switches, other.Switches)
	u.RSS = sum(u.RSS, other.RSS)
	u.Peak = sum(u.Peak, other.Peak)
	return u
}

// sum is not known where a part is not.
func sum[T ~int64](a, b T) T {
	if a == Unknown || b == Unknown {
		return Unknown
	}
	return a + b
}

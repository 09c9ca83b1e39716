package scale_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// clockTick is what the kernel counts CPU time in.
const clockTick = time.Second / 100

// cpuOf is the CPU time that a process has used.
func cpuOf(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		tb.Fatalf("read the times of process %d: %q", pid, stat)
	}
	var cpu time.Duration
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			tb.Fatalf("read the times of process %d: %v", pid, err)
		}
		cpu += time.Duration(n) * clockTick
	}
	return cpu
}

// A resident is a process's part of the machine's memory, in bytes. PSS has its share of pages that several processes use.
type resident struct{ RSS, PSS int64 }

func memoryOf(tb testing.TB, pid int) resident {
	tb.Helper()
	r, err := readMemory(pid)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func readMemory(pid int) (resident, error) {
	var r resident
	file := "/proc/" + strconv.Itoa(pid) + "/smaps_rollup"
	text, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "Rss:" && fields[0] != "Pss:" {
			continue
		}
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return r, fmt.Errorf("read %s: %w", file, err)
		}
		if fields[0] == "Rss:" {
			r.RSS = n << 10
		} else {
			r.PSS = n << 10
		}
	}
	return r, nil
}

// Package measure takes what a benchmark needs of the machine: processor time,
// memory and load, and says what the middle of many rounds is.
package measure

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what a process has used since it began. Zero fields are unknown.
type Usage struct {
	CPU time.Duration `json:"cpu"`
	// AllocBytes and Allocs count what was allocated on the heap, GCs the collections.
	AllocBytes uint64 `json:"allocBytes"`
	Allocs     uint64 `json:"allocs"`
	GCs        uint64 `json:"gcs"`
	// Heap and Stack are in use now, RSS is what is resident, Peak the most that
	// ever was, all in bytes.
	Heap  uint64 `json:"heap"`
	Stack uint64 `json:"stack"`
	RSS   uint64 `json:"rss"`
	Peak  uint64 `json:"peak"`
}

// Since is what was used after an earlier reading; memory in use is as it is now.
func (u Usage) Since(before Usage) Usage {
	u.CPU -= before.CPU
	u.AllocBytes -= before.AllocBytes
	u.Allocs -= before.Allocs
	u.GCs -= before.GCs
	return u
}

// CPU is the processor time of this process, user and system.
func CPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// Memory of a process in bytes: resident now, and the most that ever was.
func Memory(pid int) (rss, peak uint64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		field := strings.Fields(line)
		if len(field) < 2 {
			continue
		}
		kib, err := strconv.ParseUint(field[1], 10, 64)
		switch {
		case err != nil:
		case field[0] == "VmRSS:":
			rss = kib << 10
		case field[0] == "VmHWM:":
			peak = kib << 10
		}
	}
	return rss, peak
}

// Load is the load average of the last minute, -1 where there is none to be had.
func Load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return -1
	}
	return load
}

// ABBA orders the blocks of a benchmark: all in turn and then back again, so that
// what slowly changes on the machine touches everybody alike. It is repeated for
// every pair of blocks.
func ABBA[T any](all []T, pairs int) []T {
	back := slices.Clone(all)
	slices.Reverse(back)
	var out []T
	for range pairs {
		out = append(append(out, all...), back...)
	}
	return out
}

// Quantile of values, with q between 0 and 1; 0 where there are none.
func Quantile[T ~int64 | ~float64](values []T, q float64) T {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// Median of values.
func Median[T ~int64 | ~float64](values []T) T { return Quantile(values, 0.5) }

package cli

import (
	"os"
	"runtime"
	"runtime/debug"
)

// How much garbage is kept, in percent of what is in use: by verbs that end soon, once
// there are room bytes of both, and by those that last.
const room, brief, lasting = 96 << 20, 400, 100

// collectLate lets garbage be until it counts: most runs are over before.
func collectLate() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(-1)
	usual := debug.SetMemoryLimit(room)
	runtime.SetFinalizer(new([64]byte), func(*[64]byte) { // at the first collection
		debug.SetMemoryLimit(usual)
		if chosen := debug.SetGCPercent(brief); chosen >= 0 { // by a verb that lasts
			debug.SetGCPercent(chosen)
		}
	})
}

// collect keeps garbage to a percentage of what is in use, unless the environment
// says how much.
func collect(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

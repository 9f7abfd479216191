// Command meshknot translates service mesh policy: one SMI policy in, correct
// and accounted-for configuration of any mesh out.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/meshknot/meshknot/internal/cli"
)

func main() {
	if os.Getenv("GOGC") == "" {
		collectLate()
	}
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// spare is how many bytes of garbage are let be, and least the percentage of what is
// in use that is let be where that is more. Most runs are short and end before
// anything is collected; of what is in use a large one keeps its memory in bounds.
const (
	spare = 64 << 20
	least = 100
)

// collectLate lets garbage be until there is as much of it as is spare: a percentage
// that suits a small run would take a multiple of the memory of a large one. After
// each collection it looks again at what is in use, until somebody else has chosen a
// percentage, as what lives long does.
func collectLate() {
	const smallest = 4 << 20 // what the runtime takes for in use where less is
	chosen := 100 * spare / smallest
	debug.SetGCPercent(chosen)
	type mark struct{ _ [32]byte } // large enough to be an object by itself
	var collected func(*mark)
	collected = func(m *mark) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		next := int(max(least, 100*spare/max(smallest, live[0].Value.Uint64())))
		if theirs := debug.SetGCPercent(next); theirs != chosen {
			debug.SetGCPercent(theirs)
			return
		}
		chosen = next
		runtime.SetFinalizer(m, collected)
	}
	runtime.SetFinalizer(&mark{}, collected)
}

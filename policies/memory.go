package policies

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// tick is how often memory is looked at: often enough that a rule cannot
// allocate much in between, rarely enough to cost nothing.
const tick = 5 * time.Millisecond

// watch stops the evaluation that is under way when the process has grown by
// more than the limit. Rego has no such limit of its own: a rule that doubles a
// string thirty times would end the process, and all checks with it. The watch
// ends when the function that it returns is called. It begins with the first tick,
// before which most reviews of one object end.
func (e *evaluation) watch() func() {
	base := inUse()
	end := make(chan struct{})
	begin := time.AfterFunc(tick, func() { e.look(base, end) })
	return func() { begin.Stop(); close(end) }
}

// look stops what grows, at every tick until end is closed.
func (e *evaluation) look(base uint64, end <-chan struct{}) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		if e.grown(base) {
			runtime.GC() // what it threw away does not count
			if e.grown(base) {
				e.large.Store(true)
				e.stop()
			}
		}
		select {
		case <-end:
			return
		case <-ticker.C:
		}
	}
}

func (e *evaluation) grown(base uint64) bool {
	return e.current.Load() != nil && inUse() > base+e.limits.memory
}

// inUse is the number of bytes of objects, those that nobody uses any more but
// that were not collected yet included.
func inUse() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

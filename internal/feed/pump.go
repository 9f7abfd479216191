package feed

import (
	"context"
	"time"

	"github.com/meshknot/meshknot/translators/input"
)

// put notes a change to be handed out. f.mu is held.
func (f *Feed) put(c Change) {
	if len(f.pending) == 0 {
		f.since = time.Now()
	}
	f.pending[c.ID] = c
	signal(f.arrived)
}

// pump hands out batches. It owns the one that is on offer: as long as nobody has
// taken it, what arrives goes into it.
func (f *Feed) pump(ctx context.Context) {
	var offer Batch
	at := map[input.ID]int{}
	for {
		var out chan Batch
		if len(offer.Changes) > 0 {
			out = f.batches
		}
		select {
		case <-ctx.Done():
			return
		case out <- offer:
			offer, at = Batch{}, map[input.ID]int{}
		case <-f.arrived:
			if out == nil && !f.settle(ctx) {
				return
			}
			f.drain(&offer, at)
		}
	}
}

// settle waits until nothing has arrived for a while. It reports false when the
// context ended.
func (f *Feed) settle(ctx context.Context) bool {
	quiet := time.NewTimer(f.o.Debounce)
	defer quiet.Stop()
	latest := time.NewTimer(20 * f.o.Debounce)
	defer latest.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-quiet.C:
			return true
		case <-latest.C:
			return true
		case <-f.arrived:
			quiet.Reset(f.o.Debounce)
		}
	}
}

// drain moves what is pending to a batch whose changes stand at places. Before
// everything was listed there is nothing to be handed out.
func (f *Feed) drain(b *Batch, at map[input.ID]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.synced || len(f.pending) == 0 {
		return
	}
	if len(b.Changes) == 0 {
		b.At = f.since
	}
	for id, c := range f.pending {
		if i, ok := at[id]; ok {
			b.Changes[i] = c
			continue
		}
		at[id] = len(b.Changes)
		b.Changes = append(b.Changes, c)
	}
	f.pending = map[input.ID]Change{}
}

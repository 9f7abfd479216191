package controller

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
)

// task is one write of a round: what was wanted when the round began.
type task struct {
	slot
	owner    sink.Owner
	artifact *translators.Artifact
	rank     int
	turn     int
}

// round does what is to be done, and returns how long there is nothing more to do
// unless somebody wants something.
func (p *publisher) round(ctx context.Context) time.Duration {
	puts, deletes := p.take(time.Now())
	puts = p.declare(ctx, puts)
	inRow := 0
	for _, group := range ranks(puts) {
		if p.run(ctx, group, &inRow); inRow >= p.pace.patience || ctx.Err() != nil {
			return p.rest(true)
		}
	}
	slices.Reverse(deletes)
	deletes = p.free(deletes)
	for _, group := range ranks(deletes) {
		if p.run(ctx, group, &inRow); inRow >= p.pace.patience || ctx.Err() != nil {
			return p.rest(true)
		}
	}
	p.retract(ctx, deletes)
	return p.rest(false)
}

// take lists what may be written and what may be deleted now, in the order of ranks.
func (p *publisher) take(now time.Time) (puts, deletes []task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whole = p.primed
	for s := range p.dirty {
		o, it := p.owners[s.binding], p.items[s]
		if o == nil || it == nil {
			delete(p.dirty, s)
			continue
		}
		if it.artifact != nil && p.yield(s, it) || !p.open(o, s) || now.Before(it.due) {
			continue
		}
		t := task{s, o.owner, it.artifact, it.rank, it.turn}
		if it.artifact != nil {
			puts = append(puts, t)
		} else {
			deletes = append(deletes, t)
		}
	}
	inOrder := func(a, b task) int { return cmp.Or(cmp.Compare(a.rank, b.rank), a.compare(b.slot)) }
	slices.SortFunc(puts, inOrder)
	slices.SortFunc(deletes, inOrder)
	return puts, deletes
}

// open reports whether what is wanted in a slot may be written now, or deleted.
func (p *publisher) open(o *owned, s slot) bool {
	return p.sinks[s.sink] != nil && o.surveyed[s.sink] && !o.paused && !o.withheld && (s.sink != SinkConsul || !o.unguarded || p.items[s].artifact == nil)
}

// free leaves out the deletions that wait.
func (p *publisher) free(deletes []task) []task {
	p.mu.Lock()
	defer p.mu.Unlock()
	waits := p.waits()
	return slices.DeleteFunc(deletes, func(t task) bool { return waits(t.slot) })
}

// waits returns which deletions wait: while something that a binding is to have cannot
// be written, what it is to replace stays, for a while. What is left of another mesh
// stays for as long as it is not replaced, because rights or definitions of the new
// one are missing.
func (p *publisher) waits() func(slot) bool {
	all, left := map[string]bool{}, map[string]bool{}
	for s := range p.dirty {
		it := p.items[s]
		if it == nil || it.artifact == nil {
			continue
		}
		failed := it.outcome.State == Failed
		all[s.binding] = all[s.binding] || failed && it.fails < p.pace.hold
		left[s.binding] = left[s.binding] || failed || it.outcome.State == Missing || it.denied
	}
	return func(s slot) bool {
		it := p.items[s]
		return all[s.binding] || it != nil && it.left && left[s.binding] || p.awaited(s)
	}
}

// ranks cuts tasks into groups of one rank, in their order.
func ranks(tasks []task) [][]task {
	var out [][]task
	for len(tasks) > 0 {
		n := slices.IndexFunc(tasks, func(t task) bool { return t.rank != tasks[0].rank })
		if n < 0 {
			n = len(tasks)
		}
		out, tasks = append(out, tasks[:n]), tasks[n:]
	}
	return out
}

// run does tasks, several at once. It counts the failures in a row.
func (p *publisher) run(ctx context.Context, tasks []task, inRow *int) {
	var group sync.WaitGroup
	var mu sync.Mutex
	next, spoken := 0, time.Now()
	for range min(p.pace.workers, len(tasks)) {
		group.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= len(tasks) || *inRow >= p.pace.patience || ctx.Err() != nil
				mu.Unlock()
				if stop {
					return
				}
				failed := p.do(ctx, tasks[i])
				mu.Lock()
				if *inRow++; !failed {
					*inRow = 0
				}
				if now := time.Now(); now.Sub(spoken) > p.pace.news {
					spoken = now
					signal(p.news)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

// do does one task, unless something else is wanted by now. It reports whether it
// failed in a way that may pass.
func (p *publisher) do(ctx context.Context, t task) bool {
	if !p.stands(t) {
		return false
	}
	ctx, ended := p.begins(ctx, t.slot)
	bounded, cancel := context.WithTimeout(ctx, p.pace.timeout)
	defer cancel()
	var wrote bool
	var err error
	if t.artifact != nil {
		wrote, err = p.sinks[t.sink].Put(bounded, t.owner, *t.artifact)
	} else {
		wrote, err = p.sinks[t.sink].Delete(bounded, t.owner, t.id)
	}
	ended(err)
	if err != nil && ctx.Err() != nil {
		return true // it is the next leader's business
	}
	return p.done(t, wrote, err)
}

// stands reports whether a task still is what is wanted.
func (p *publisher) stands(t task) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	it, o := p.items[t.slot], p.owners[t.binding]
	return it != nil && it.turn == t.turn && o != nil && o.owner == t.owner && p.open(o, t.slot)
}

// done notes what came of a task.
func (p *publisher) done(t task, wrote bool, err error) (failed bool) {
	o := judge(err)
	p.metrics.Wrote(t.sink, result(t, wrote, o.State))
	p.mu.Lock()
	defer p.mu.Unlock()
	if wrote && err == nil {
		p.wrote = time.Now()
	}
	it := p.items[t.slot]
	if it == nil || it.turn != t.turn {
		return false // something else is wanted now, and will be tried
	}
	it.denied = denied(err)
	gone := t.artifact == nil && (o.State == Written || o.State == Foreign || o.State == Missing)
	switch {
	case gone:
		delete(p.items, t.slot)
		delete(p.dirty, t.slot)
		p.heard[t.slot] = true
		return false
	case o.State == Refused && t.artifact != nil && !it.denied:
		delete(p.dirty, t.slot) // until something else is wanted, or at the next survey
	case o.State != Written:
		it.fails++
		it.due = time.Now().Add(p.wait(it.fails, o.State))
	}
	p.settle(t.slot, it, o)
	return o.State == Failed
}

// wait is how long is waited before something is tried again. What waits for
// people has time.
func (p *publisher) wait(fails int, s OutcomeState) time.Duration {
	d := p.pace.first << min(max(fails-1, 0), 10)
	if s != Failed {
		d *= 8
	}
	d = min(d, p.pace.last)
	return d/2 + rand.N(d/2+1)
}

// rest is how long nothing is due. After a round that was cut short it is longer
// each time.
func (p *publisher) rest(cut bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cuts++; !cut {
		p.cuts = 0
		p.through = p.through || p.whole
	}
	next, now := p.pace.resync, time.Now()
	waits := p.waits()
	for s := range p.dirty {
		o, it := p.owners[s.binding], p.items[s]
		held := it.artifact == nil && waits(s) // until the write that it waits for is tried again
		if o != nil && p.open(o, s) && !held {
			next = min(next, max(it.due.Sub(now), 10*time.Millisecond))
		}
	}
	for _, o := range p.owners {
		if p.primed && !p.seen(o) && !o.paused && !o.withheld {
			next = min(next, p.wait(o.fails, Failed))
		}
	}
	if p.there != nil && !p.soughtAll() {
		next = min(next, p.wait(p.seeks, Failed))
	}
	if cut {
		next = max(next, p.wait(p.cuts, Failed))
	}
	return next
}

package controller

import (
	"cmp"
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/translators"
)

// publisher brings what sinks hold to what the engine made. Every replica has one
// that knows what is wanted; it writes while it leads.
//
// The loop hands it changes and never waits for it: what is wanted of an artifact
// is a value in a table, of which the newest holds. A round takes what is to be
// done, writes in the order of ranks what is new, over all bindings, and only then
// deletes, in reverse: whoever moves from one mesh to another has the new one before
// the old one is gone.
type publisher struct {
	sinks   map[string]Sink
	metrics *telemetry.Metrics
	clock   stopwatch
	// digest is what sinks tell stored artifacts apart by.
	digest func(translators.Artifact) (string, error)
	pace   pace
	wake   chan struct{} // there is something to do
	news   chan struct{} // there is something to hear: see settled

	// verdicts are what meshes say of what is written.
	verdicts *verdicts

	// declared is what parents were told, for the round alone.
	declared map[sink.Owner]map[place]bool

	mu     sync.Mutex
	primed bool // everything that is wanted was handed over once
	owners map[string]*owned
	items  map[slot]*item
	dirty  map[slot]bool
	heard  map[slot]bool
	events events[slot]
	wrote  time.Time // when a write went well last
	// whole: the round has all that is wanted; through: one such went through since this
	// replica leads.
	whole, through bool

	claims map[spot]map[slot]bool // who wants something at a place
	stays  map[slot]bool          // see work
	cuts   int                    // rounds in a row that were cut short
	// there are the names of all MeshBindings, usable or not; nil while they are not
	// known for sure.
	there map[string]bool
	// sought are the sinks in which what is left of bindings that are gone was looked
	// for since this replica leads; seeks are the attempts in a row that failed.
	sought map[string]bool
	seeks  int
}

// pace is how fast a publisher goes.
type pace struct {
	// workers write at once; a write may take as long as timeout.
	workers int
	timeout time.Duration
	// first and last are how long is waited after a failure, doubled from the one to
	// the other.
	first, last time.Duration
	// hold is how often a write may fail before the deletions of its binding no
	// longer wait for it.
	hold int
	// patience is how many failures in a row end a round.
	patience int
	// resync is how often all that is stored is looked at.
	resync time.Duration
	// news is how often it is told what came of writes, while many are made.
	news time.Duration
}

var usualPace = pace{news: 500 * time.Millisecond, workers: 8, timeout: 15 * time.Second, first: 500 * time.Millisecond, last: time.Minute, hold: 4, patience: 16, resync: 10 * time.Minute}

// slot is the place of an artifact.
type slot struct {
	binding, sink string
	id            translators.ID
}

func (s slot) compare(o slot) int {
	return cmp.Or(s.id.Compare(o.id), cmp.Compare(s.binding, o.binding), cmp.Compare(s.sink, o.sink))
}

// owned is what is known of a binding.
type owned struct {
	terms
	withheld bool
	// gone: the binding is no more; what it owned is deleted.
	gone bool
	// surveyed are the sinks in which what it has in force was listed since this
	// replica leads.
	surveyed map[string]bool
	// fails are the attempts in a row to list it that failed.
	fails int
}

// terms are what a binding says of its output.
type terms struct {
	owner   sink.Owner
	backend string
	paused  bool
	// created is when the binding was, which says whose a place is.
	created time.Time
	// unguarded: nothing keeps the binding from vanishing before what it has in Consul
	// is deleted, so nothing is written there yet.
	unguarded bool
	// leaving: it is being deleted, and what it owned is, too.
	leaving bool
}

// item is what is wanted in a slot, and what came of it.
type item struct {
	artifact *translators.Artifact // nil: nothing
	rank     int
	// turn is another one whenever something else is wanted.
	turn    int
	outcome Outcome
	fails   int
	due     time.Time
	// denied: it was refused for want of a right. left: nothing is wanted where the
	// binding had something on another mesh, or before this replica led.
	denied, left bool
}

// work is what the loop hands over; nobody changes it.
type work struct {
	changes []translators.Change
	// bindings are all that there are, where they are others now; else nil.
	bindings map[string]terms
	// there are the names of all MeshBindings, where bindings is set; nil: not all of
	// them are known for sure.
	there map[string]bool
	// early: not everything that is wanted was handed over yet, so nothing follows of
	// what is not.
	early bool
	// stays are the places of which what is stored stays though nothing is wanted there;
	// nil: those of before.
	stays map[slot]bool
	// event brought the changes about; zero at the start.
	event cause
}

func newPublisher(sinks map[string]Sink, digest func(translators.Artifact) (string, error), m *telemetry.Metrics, traces trace.Tracer) *publisher {
	return &publisher{sinks: sinks, digest: digest, metrics: m, clock: stopwatch{m, traces}, verdicts: deaf(), pace: usualPace, wake: make(chan struct{}, 1), news: make(chan struct{}, 1),
		declared: map[sink.Owner]map[place]bool{}, owners: map[string]*owned{}, items: map[slot]*item{}, dirty: map[slot]bool{}, heard: map[slot]bool{}, events: events[slot]{},
		claims: map[spot]map[slot]bool{}, sought: map[string]bool{}}
}

// hand takes what the loop decided.
func (p *publisher) hand(w work) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.primed = p.primed || !w.early
	if w.stays != nil {
		p.stay(w.stays)
	}
	if w.bindings != nil {
		p.bind(w.bindings)
		p.there = w.there
	}
	withheld := map[string]bool{}
	for _, c := range w.changes {
		name := bindingOf(c.Target)
		if o := p.owners[name]; o != nil && o.backend == c.Target.Backend {
			withheld[name] = withheld[name] || c.Withheld
		}
		for _, s := range c.Remove {
			at := slot{name, sinkOf(s.ID), s.ID}
			p.want(at, nil, 0)
			if o, it := p.owners[name], p.items[at]; o != nil && it != nil {
				it.left = o.backend != c.Target.Backend
			}
		}
	}
	for name, is := range withheld {
		p.owners[name].withheld = is
	}
	for _, c := range w.changes { // what one target leaves and another one makes stays
		for i := range c.Put {
			a := &c.Put[i]
			p.want(slot{bindingOf(c.Target), sinkOf(a.ID), a.ID}, a, a.Rank)
		}
	}
	p.happened(w.changes, w.event)
	signal(p.wake)
}

// bind takes the bindings that there are.
func (p *publisher) bind(live map[string]terms) {
	for name, t := range live {
		p.adopt(name)
		o := p.owners[name]
		if o == nil {
			o = &owned{surveyed: map[string]bool{}}
			p.owners[name] = o
		}
		if o.owner != t.owner {
			clear(o.surveyed)
		}
		again := !o.created.Equal(t.created)
		if o.terms, o.gone = t, false; again {
			p.reorder(name)
		}
	}
	for name, o := range p.owners {
		if t, ok := live[name]; !ok || t.leaving {
			o.gone, o.paused, o.withheld = true, false, false
		}
	}
}

// want notes what is wanted in a slot.
func (p *publisher) want(s slot, a *translators.Artifact, rank int) {
	it := p.items[s]
	if it == nil {
		if a == nil && p.owners[s.binding] == nil {
			return
		}
		it = &item{}
		p.items[s] = it
	}
	if a != nil {
		it.rank = rank
	}
	it.artifact, it.outcome, it.fails, it.due = a, Outcome{State: Pending}, 0, time.Time{}
	it.denied, it.left = false, a == nil && it.left
	it.turn++
	p.dirty[s] = true
	p.claim(s, a != nil)
}

// Outcome returns what came of an artifact; false for one that is not wanted.
func (p *publisher) outcomeOf(s slot) (Outcome, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	it := p.items[s]
	if it == nil || it.artifact == nil {
		return Outcome{}, false
	}
	return p.inForce(s, it), true
}

// settled returns the artifacts of which something else is known since it was last
// asked, and the bindings that are gone and own nothing any more.
func (p *publisher) settled() (artifacts []translators.Artifact, left []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.heard {
		if it := p.items[s]; it != nil && it.artifact != nil {
			artifacts = append(artifacts, *it.artifact)
		}
	}
	clear(p.heard)
	owns := map[string]bool{}
	for s := range p.items {
		owns[s.binding] = owns[s.binding] || p.sinks[s.sink] != nil
	}
	for name, o := range p.owners {
		if o.gone && p.seen(o) && !owns[name] {
			left = append(left, name)
			delete(p.owners, name)
		}
	}
	return artifacts, left
}

// settledAll reports whether everything that may be written is.
func (p *publisher) settledAll() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.owners {
		if !o.paused && !o.withheld && !p.seen(o) {
			return false
		}
	}
	return p.primed && len(p.dirty) == 0
}

// lead writes until ctx ends, which is when this replica no longer leads. What can
// happen: something is to be done; something that failed is due; it is time to look
// at all that is stored; the end.
func (p *publisher) lead(ctx context.Context) {
	clear(p.declared)
	p.mu.Lock()
	clear(p.events) // of what another one has written
	p.through = false
	p.mu.Unlock()
	p.forget()
	resync := time.NewTicker(p.pace.resync)
	defer resync.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-resync.C:
			p.forget()
		case <-p.wake:
		case <-due.C:
		}
		p.seek(ctx)
		p.survey(ctx)
		due.Reset(p.round(ctx))
		signal(p.news)
	}
}

// settle notes what came of an item.
func (p *publisher) settle(s slot, it *item, o Outcome) {
	changed := it.outcome != o
	if it.outcome = o; changed {
		p.heard[s] = true
		if p.holder(spotOf(s)) == s {
			p.contest(spotOf(s), s) // who makes the same is told, too
		}
	}
	if o.State == Written {
		it.fails, it.due = 0, time.Time{}
		delete(p.dirty, s)
		p.verdicts.written(s)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

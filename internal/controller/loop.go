package controller

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// loop owns what the controller knows. One goroutine runs it, and nothing but these
// can happen:
//
//  1. a batch of changes comes from the feed;
//  2. the state of the feed is another: everything is read, a kind is in trouble;
//  3. a writer finished a round, or a mesh says something else of what was written;
//  4. proxies, here or at another replica, have acknowledged or refused something, come
//     or gone;
//  5. this replica leads, or no longer does;
//  6. the clock: a waiver expires;
//  7. an audit has looked at everything;
//  8. the end.
//
// What follows of them for reports is put on a list and worked off in portions
// between them, so that none of them waits long.
type loop struct {
	feed      Feed
	server    Server // nil where this replica serves no proxies
	world     *World
	publisher *publisher
	writer    *writer
	reports   reportClient
	statuses  statusClient
	pipeline  translators.Pipeline
	status    StatusFunc
	lastGood  func(last, now input.Object) input.Object
	metrics   *telemetry.Metrics
	traces    *telemetry.Traces
	log       *slog.Logger
	seen      func([]feed.Change)
	leads     chan bool
	// answered: proxies did something since they were looked at.
	answered chan struct{}
	// fresh is closed when everything was compiled once and handed over.
	fresh chan struct{}
	// ended is closed when the loop has ended.
	ended chan struct{}
	// look is how often it is looked who has waited long enough, linger how long a follower goes on to
	// serve by xDS what a binding has left whose new mesh does not take everything.
	look, linger time.Duration

	proxies *proxies
	kinds   map[groupKind]feed.KindState
	// bindings by name; namespaces are their labels by name.
	bindings   map[string]*bound
	namespaces map[string]map[string]string
	table      binding.Table
	// here are the bindings that have a namespace, by its name.
	here map[string][]service
	// lastUsable are the bindings in force, by name: those that can be used, and of
	// those that no longer can what they were before; terms are theirs.
	lastUsable map[string]binding.Binding
	terms      map[string]terms
	// orphans are the reports that there are, and what they are about.
	orphans  map[topic]v1alpha1.SourceReference
	withheld map[string]bool
	sources  map[input.ID]*source
	// told are the sources that a unit says something of.
	told map[ir.Key][]input.ID
	// turn counts the batches and what the clock brought about.
	turn uint64
	kept keeping
	// todo are the sources to report on, and awaiting those of which not everything
	// is known yet: true where the answer of a proxy may tell, false where only one
	// that comes may.
	todo, awaiting map[input.ID]bool
	todoBindings   bool
	// deferred are those whose report waits a little for what is under way.
	deferred map[input.ID]time.Time
	audit    audit
	leading  bool
	compiled bool

	shared       shared
	introduced   map[string]bool   // back ends of which proxies were told that there is something, or nothing
	programmed   map[string]stated // that of a binding, as it was said last
	subresources *subresources
	started      time.Time
	held         map[string]*backlog // by binding: what it may not put in force while it is paused
	retired      []retired
	// event is the first one of the batch that is taken in, zero while there is none;
	// events are those of sources that are not reported on yet.
	event    cause
	edited   []report.Ref // in that batch
	lookedAt time.Time    // at proxies
	events   events[input.ID]
	unserved []translators.Change // that the server did not take
	pending  trail
	// idle: it leads, and has nothing on its list. Others look at it.
	idle atomic.Bool
}

type groupKind struct{ group, kind string }

// StatusFunc computes the status of an object of Gateway API; false where it has none.
type StatusFunc func(r input.Reader, o input.Object) (any, bool)

// portion is how many reports are made between two events.
const portion = 256

func newLoop(o Options, f Feed, s Server, w *World, client dynamic.Interface, disco discovery.ServerResourcesInterface, instance string) *loop {
	l := &loop{
		feed: f, server: s, world: w, pipeline: o.Pipeline, status: o.Status, lastGood: o.LastGood, seen: o.Seen, metrics: o.Metrics, traces: o.Traces, log: o.Log,
		publisher: newPublisher(o.Sinks, sink.Digest, o.Metrics, o.Traces), writer: newWriter(o.Metrics, o.Log),
		reports: reportClient{client, instance}, statuses: statusClient{client},
		leads: make(chan bool), answered: make(chan struct{}, 1), fresh: make(chan struct{}), ended: make(chan struct{}), look: 200 * time.Millisecond, linger: 30 * time.Second,
		kinds:    map[groupKind]feed.KindState{},
		bindings: map[string]*bound{}, namespaces: map[string]map[string]string{}, here: map[string][]service{}, withheld: map[string]bool{},
		sources: map[input.ID]*source{}, told: map[ir.Key][]input.ID{}, kept: newKeeping(), todo: map[input.ID]bool{}, awaiting: map[input.ID]bool{},
		lastUsable: map[string]binding.Binding{}, terms: map[string]terms{}, orphans: map[topic]v1alpha1.SourceReference{},
		audit: newAudit(o.Audit != nil), deferred: map[input.ID]time.Time{}, introduced: map[string]bool{}, programmed: map[string]stated{},
		subresources: newSubresources(disco), started: time.Now(),
		shared: shared{}, events: events[input.ID]{}, held: map[string]*backlog{},
	}
	if s != nil {
		l.proxies = newProxies(s, o.Metrics)
	}
	return l
}

// run works until ctx ends or the feed does.
func (l *loop) run(ctx context.Context) {
	defer close(l.ended)
	patience := time.NewTicker(l.look)
	defer patience.Stop()
	if l.server != nil {
		l.server.OnAnswer(func() { signal(l.answered) })
		defer l.server.OnAnswer(nil)
	}
	rest := time.NewTimer(0)
	defer rest.Stop()
	var answered chan struct{} // nil for a while after a look
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case b, ok := <-l.feed.Batches():
			if !ok {
				return
			}
			l.batch(b)
		case <-l.feed.Changed():
			l.state(l.feed.State())
		case <-l.publisher.news:
			l.written()
		case <-answered:
			l.looked()
			answered = nil
			rest.Reset(l.rest())
		case <-rest.C:
			answered = l.answered
		case <-patience.C:
			l.patience()
		case leading := <-l.leads:
			l.lead(leading)
		case <-clock.C:
			l.rebind()
		case found := <-l.audit.rounds:
			l.audited(found)
		case <-l.more():
			l.work(portion)
		}
		l.release(false)
		l.idle.Store(l.leading && l.compiled && len(l.todo) == 0 && len(l.deferred) == 0 && !l.todoBindings && len(l.retired) == 0 && l.audit.heard())
		clock.Reset(l.next())
	}
}

// always is a channel from which there is always something to take.
var always = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// more tells whether reports are to be made.
func (l *loop) more() <-chan struct{} {
	if l.leading && l.compiled && (len(l.todo) > 0 || l.todoBindings) {
		return always
	}
	return nil
}

// next is how long until the clock has something to say.
func (l *loop) next() time.Duration {
	d := time.Hour
	if !l.table.Next.IsZero() {
		d = min(d, time.Until(l.table.Next))
	}
	return max(d, 0)
}

// batch takes changes in (1). Nothing is compiled before the feed has read
// everything; its first batch is everything that there is.
func (l *loop) batch(b feed.Batch) {
	span := l.start(b)
	defer span.End()
	l.turn++
	if l.seen != nil {
		l.seen(b.Changes)
	}
	if l.compiled {
		l.event = cause{b.At, span.SpanContext()}
	}
	edits, rebind := l.intake(b.Changes)
	if !l.compiled && !l.feed.State().Synced {
		l.log.Warn("changes came before everything was read; they are kept for then")
	}
	if rebind || !l.compiled {
		l.bind()
	}
	l.settle(l.world.apply(edits))
	l.edited = nil
	if !l.compiled {
		l.begin()
	}
	l.event = cause{}
}

// begin notes that everything was compiled once.
func (l *loop) begin() {
	l.compiled = true
	l.publisher.hand(work{}) // that was everything
	l.world.compiled()
	l.metrics.Ready(true)
	close(l.fresh)
	l.log.Info("everything was read and compiled", "objects", len(l.sources), "bindings", len(l.bindings), "namespaces", len(l.namespaces))
	l.all()
}

// state takes down what can be watched (2).
func (l *loop) state(s feed.State) {
	for _, k := range s.Kinds {
		gk := groupKind{k.Group, k.Kind.Kind}
		was, known := l.kinds[gk]
		l.kinds[gk] = k
		if known && was.Trouble == k.Trouble && was.Served == k.Served {
			continue
		}
		l.metrics.Trouble(k.Resource+"."+k.Group, k.Trouble != "")
		if k.Trouble != "" {
			l.log.Warn("a kind cannot be watched; what was known of it stays in force", "kind", k.Kind.Kind, "group", k.Group, "trouble", k.Trouble)
		}
	}
}

// written hears what the writer of a mesh's objects has done, and what the mesh says
// of them (3).
func (l *loop) written() {
	artifacts, left := l.publisher.settled()
	l.mentioned(artifacts)
	l.todoBindings = l.todoBindings || len(artifacts) > 0 || len(left) > 0
	for _, name := range left {
		if b := l.bindings[name]; b == nil || !b.leaving || !b.finalized {
			continue
		}
		if l.publisher.sinks[SinkConsul] == nil {
			l.log.Warn("a binding that is deleted stays, for what it has in Consul cannot be: "+noSink(SinkConsul), "binding", name)
			continue
		}
		l.finalize(name, false)
	}
}

// lead hears whether this replica writes (5).
func (l *loop) lead(leading bool) {
	l.leading = leading
	l.metrics.Leader(leading)
	l.log.Info("leadership", "leading", leading)
	if leading {
		l.started = time.Now() // what is there has to be looked for, and what meshes say of it
		clear(l.deferred)
		clear(l.events) // of what another one has written
		if l.proxies != nil {
			clear(l.proxies.standing)
		}
		l.all()
	} else {
		l.unaudited()
	}
}

// all has everything reported on.
func (l *loop) all() {
	for id := range l.sources {
		l.todo[id] = true
	}
	l.todoBindings = true
	for _, b := range l.bindings {
		l.guard(b)
	}
}

// again has a source reported on.
func (l *loop) again(id input.ID) {
	if l.sources[id] != nil {
		l.todo[id] = true
	}
}

// concern has the sources of which a unit says something, or said before,
// reported on.
func (l *loop) concern(k ir.Key) {
	for _, id := range l.told[k] {
		l.again(id)
	}
	made, ok := l.world.made(k)
	if !ok {
		delete(l.told, k)
		l.keeps(k, engine.Made{})
		return
	}
	l.keeps(k, made)
	seen := map[input.ID]bool{}
	var ids []input.ID
	note := func(refs ...report.Ref) {
		for _, r := range refs {
			if id := idOf(r); !seen[id] && l.sources[id] != nil {
				seen[id] = true
				ids = append(ids, id)
				l.todo[id] = true
			}
		}
	}
	for _, f := range made.Findings {
		note(f.Source)
		if f.Code == report.Crashed {
			l.log.Error("a defect: what was in force of a unit stays", "kind", k.Kind, "namespace", k.Namespace, "name", k.Name, "error", f.Message)
		}
	}
	for _, p := range made.Pieces {
		for _, f := range p.Findings {
			note(f.Source)
		}
		for _, a := range p.Artifacts {
			note(a.Refs...)
		}
		for _, c := range p.Claims {
			note(c.Ref)
		}
	}
	l.told[k] = ids
}

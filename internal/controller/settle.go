package controller

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/translators"
)

// backlog is what a binding may not put in force while it is paused.
type backlog struct {
	target translators.Target
	put    map[translators.Slot]translators.Artifact
	remove map[translators.Slot]bool
}

// retired is what xDS goes on to serve though nobody wants it any more: its binding
// has moved to a mesh that is yet to be written (see replaced).
type retired struct {
	change translators.Change
	// until is how long followers wait where the new mesh does not take everything.
	until time.Time
}

// settle hands on what a step of the engine changed: first to proxies, then to the
// publisher.
func (l *loop) settle(step engine.Step) {
	var serve, write []translators.Change
	for _, c := range step.Changed {
		l.metrics.Changed(c.Target.Backend, c.Withheld)
		l.withholds(c)
		if served(c.Target) {
			serve = append(serve, c)
		} else {
			write = append(write, c)
		}
	}
	if len(write) > 0 {
		l.publisher.hand(work{changes: write, early: !l.compiled, event: l.event})
	}
	for _, c := range serve { // before: what proxies say from now on is about this
		if l.proxies != nil {
			l.proxies.changed(c, l.edited)
		}
	}
	l.serve(l.withhold(serve))
	for _, k := range step.Recompiled {
		l.concern(k)
	}
	l.stay()
	for _, c := range step.Changed { // also where parts of others were joined anew
		l.mentioned(c.Put)
	}
}

// withholds takes down whether the output of a binding is withheld, which all
// reports speak of.
func (l *loop) withholds(c translators.Change) {
	name := bindingOf(c.Target)
	if l.lastUsable[name].Target.Backend != c.Target.Backend || l.withheld[name] == c.Withheld {
		return
	}
	l.withheld[name] = c.Withheld
	l.todoBindings = true
	for id := range l.sources {
		l.todo[id] = true
	}
}

// mentioned has the sources of artifacts reported on.
func (l *loop) mentioned(artifacts []translators.Artifact) {
	for _, a := range artifacts {
		for _, r := range a.Refs {
			l.again(idOf(r))
		}
	}
}

// withhold returns the changes that are to be served now. What is withheld changes
// nothing; what a paused binding changes waits; what a binding leaves that moved to
// a mesh of another form lingers.
func (l *loop) withhold(changes []translators.Change) []translators.Change {
	var now []translators.Change
	for _, c := range changes {
		name := bindingOf(c.Target)
		b, live := l.lastUsable[name]
		switch {
		case c.Withheld:
		case live && b.Paused:
			l.hold(name, c)
		case live && !served(b.Target):
			l.retired = append(l.retired, retired{c, time.Now().Add(l.linger)})
		default:
			l.unretire(c)
			now = append(now, c)
		}
	}
	return now
}

// hold keeps a change of a paused binding, the newest of each place.
func (l *loop) hold(name string, c translators.Change) {
	h := l.held[name]
	if h == nil || h.target.Backend != c.Target.Backend {
		h = &backlog{c.Target, map[translators.Slot]translators.Artifact{}, map[translators.Slot]bool{}}
		l.held[name] = h
	}
	for _, s := range c.Remove {
		delete(h.put, s)
		h.remove[s] = true
	}
	for _, a := range c.Put {
		delete(h.remove, a.Slot())
		h.put[a.Slot()] = a
	}
}

// release serves what need not wait any longer: of bindings that are no longer
// paused (if any may have changed), and what has lingered.
func (l *loop) release(bound bool) {
	var now []translators.Change
	if bound {
		now = l.unpaused()
	}
	l.retired = slices.DeleteFunc(l.retired, func(r retired) bool {
		done := l.replaced(r)
		if done {
			now = append(now, r.change)
		}
		return done
	})
	if len(now) > 0 {
		l.serve(now)
	}
}

// replaced reports whether what was retired need not be served any longer: its binding
// is served by xDS again or is gone, or its new mesh has been given everything that it
// takes. The leader knows that itself, and the others by the binding's status. However
// long that lasts, proxies keep what they have.
func (l *loop) replaced(r retired) bool {
	name := bindingOf(r.change.Target)
	b, live := l.lastUsable[name]
	switch {
	case !live:
		return true
	case b.Paused:
		return false
	case served(b.Target):
		return true
	case l.withheld[name]:
		return false
	case l.leading:
		return l.publisher.landed(name)
	}
	said := l.bindings[name].said
	if said.generation != l.bindings[name].generation {
		return false
	}
	final := []string{reasonRefused, reasonForeign, reasonClaimed, reasonNotServed, reasonRejected}
	return said.Status == string(metav1.ConditionTrue) || slices.Contains(final, said.Reason) && !time.Now().Before(r.until)
}

// unretire has stay what was retired and is wanted again.
func (l *loop) unretire(c translators.Change) {
	if len(l.retired) == 0 {
		return
	}
	wanted := map[translators.Slot]bool{}
	for _, a := range c.Put {
		wanted[a.Slot()] = true
	}
	for i := range l.retired {
		old := &l.retired[i].change
		if bindingOf(old.Target) == bindingOf(c.Target) && old.Target.Backend == c.Target.Backend {
			old.Remove = slices.DeleteFunc(slices.Clone(old.Remove), func(s translators.Slot) bool { return wanted[s] })
		}
	}
}

// unpaused returns what bindings that are no longer paused may put in force.
func (l *loop) unpaused() (now []translators.Change) {
	for name, h := range l.held {
		b, live := l.lastUsable[name]
		if live && b.Paused {
			continue
		}
		delete(l.held, name)
		c := translators.Change{Target: h.target}
		for s := range h.remove {
			c.Remove = append(c.Remove, s)
		}
		for _, a := range h.put {
			if live && b.Target.Backend == h.target.Backend {
				c.Put = append(c.Put, a)
			}
		}
		if live && !served(b.Target) {
			l.retired = append(l.retired, retired{c, time.Now().Add(l.linger)})
			continue
		}
		l.unretire(c)
		now = append(now, c)
	}
	return now
}

// serve hands proxies changes. What the server does not take is handed to it again
// with the next ones.
func (l *loop) serve(changes []translators.Change) {
	if l.server == nil {
		return
	}
	joined := l.shared.join(changes)
	for _, b := range l.table.Bounds { // so that who has nothing is told so
		name := bindingOf(b.Target)
		if served(b.Target) && !l.introduced[b.Backend] && !l.withheld[name] && !l.lastUsable[name].Paused {
			l.introduced[b.Backend] = true
			joined = append(joined, translators.Change{Target: translators.Target{Backend: b.Backend}})
		}
	}
	if len(joined) == 0 && l.compiled {
		return
	}
	l.unserved = newest(append(l.unserved, joined...)) // what could not be served may be mended
	if err := l.server.Apply(l.unserved); err != nil {
		l.log.Error("proxies could not be given what changed; they keep what they have", "error", err)
		return
	}
	l.unserved = nil
	if !l.event.at.IsZero() {
		l.metrics.Began(telemetry.WriteServed, time.Since(l.event.at))
	}
	l.looked() // what was known of the proxies is out of date
}

// newest leaves of changes what came last of each slot of a back end.
func newest(changes []translators.Change) []translators.Change {
	if len(changes) < 2 {
		return changes
	}
	type place struct {
		backend string
		slot    translators.Slot
	}
	seen := map[place]bool{}
	out := slices.Clone(changes)
	for i := range slices.Backward(out) {
		c := &out[i]
		older := func(s translators.Slot) bool {
			at := place{c.Target.Backend, s}
			was := seen[at]
			seen[at] = true
			return was
		}
		c.Put = slices.DeleteFunc(slices.Clone(c.Put), func(a translators.Artifact) bool { return older(a.Slot()) })
		c.Remove = slices.DeleteFunc(slices.Clone(c.Remove), older)
	}
	return out
}

// looked hears what proxies have done (4).
func (l *loop) looked() {
	if l.proxies == nil {
		return
	}
	l.lookedAt = time.Now()
	concerned, differs := l.proxies.look()
	for _, r := range concerned {
		l.again(idOf(r))
	}
	if differs >= answers {
		for id, answer := range l.awaiting {
			if answer || differs == company {
				l.todo[id] = true
			}
		}
		l.todoBindings = true
	}
	if differs > none {
		l.acknowledged()
	}
}

// How long proxies are not looked at after a look: while many of them answer, one
// look hears them all. Where the last one made work it is done first.
const (
	shortRest = 20 * time.Millisecond
	longRest  = time.Second
)

func (l *loop) rest() time.Duration {
	if len(l.todo) > portion {
		return longRest
	}
	return shortRest
}

// trail is what is known of the changes that proxies have not all acknowledged.
type trail struct {
	since time.Time
	spans []trace.SpanContext
}

// start begins the trace of a batch.
func (l *loop) start(b feed.Batch) trace.Span {
	_, span := l.traces.Start(context.Background(), "batch", trace.WithTimestamp(b.At), trace.WithAttributes(attribute.Int("changes", len(b.Changes))))
	if l.proxies != nil {
		if l.pending.since.IsZero() {
			l.pending.since = b.At
		}
		if len(l.pending.spans) < 32 {
			l.pending.spans = append(l.pending.spans, span.SpanContext())
		}
	}
	return span
}

// acknowledged ends the traces of what proxies were told, once all have confirmed.
func (l *loop) acknowledged() {
	if l.pending.since.IsZero() {
		return
	}
	proxies := 0
	for _, backend := range proxied {
		n, quiet := l.proxies.whole(backend)
		if !quiet {
			return
		}
		proxies += n
	}
	if proxies > 0 {
		l.metrics.Acknowledged(time.Since(l.pending.since))
		var links []trace.Link
		for _, s := range l.pending.spans {
			links = append(links, trace.Link{SpanContext: s})
		}
		_, span := l.traces.Start(context.Background(), "acknowledged", trace.WithTimestamp(l.pending.since), trace.WithLinks(links...))
		span.End()
	}
	l.pending = trail{}
}

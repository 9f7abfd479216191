package controller

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators/input"
)

// intake takes in changes. It returns what the engine is to be told, and whether
// bindings or namespaces are others.
func (l *loop) intake(changes []feed.Change) (edits []input.Edit, rebind bool) {
	for _, c := range changes {
		switch {
		case c.ID.Group == v1alpha1.Group && c.ID.Kind == v1alpha1.KindMeshBinding:
			rebind = l.binding(c) || rebind
		case c.ID.Group == v1alpha1.Group && c.ID.Kind == v1alpha1.KindTranslationReport:
			l.report(c)
		default:
			rebind = l.labels(c) || rebind
			edits = append(edits, l.edit(c))
		}
	}
	return edits, rebind
}

// edit takes in an object. What we wrote ourselves is output, and no input.
func (l *loop) edit(c feed.Change) input.Edit {
	e := input.Edit{ID: c.ID}
	if c.Object != nil && !c.Deleted && c.Object.Labels[sink.ManagedByLabel] != sink.ManagedBy {
		e.Objects = []input.Object{l.good(c)}
	}
	if !reported(c.ID) {
		return e
	}
	if len(e.Objects) == 0 {
		l.leave(c.ID)
		return e
	}
	s, status := sourceOf(c)
	s.since = l.turn
	if was := l.sources[c.ID]; was != nil {
		s.losses = was.losses
		if was.meta.UID == s.meta.UID && was.meta.Generation == s.meta.Generation {
			s.since = was.since
		} else {
			l.edited = append(l.edited, s.ref())
		}
		if was.meta.UID != s.meta.UID && l.proxies != nil {
			l.proxies.forget(s.ref())
		}
	} else {
		l.metrics.Objects(c.ID.Kind, 1)
	}
	s.used = e.Objects[0]
	l.sources[c.ID] = s
	l.events.note(c.ID, l.event)
	l.saw(s, status)
	l.todo[c.ID] = true
	return e
}

// good is the object that is used: where it cannot be read what of its last good form
// may stay.
func (l *loop) good(c feed.Change) input.Object {
	was := l.sources[c.ID]
	if !c.Object.Rejected || l.lastGood == nil || was == nil || was.meta.UID != c.Meta.UID {
		return *c.Object
	}
	return l.lastGood(was.used, *c.Object)
}

// leave forgets a source that is gone, and has its report deleted.
func (l *loop) leave(id input.ID) {
	s := l.sources[id]
	if s == nil {
		return
	}
	l.metrics.Objects(id.Kind, -1)
	l.metrics.Lost(s.losses, nil)
	delete(l.sources, id)
	delete(l.awaiting, id)
	delete(l.deferred, id)
	delete(l.events, id)
	delete(l.todo, id)
	delete(l.audit.found, id)
	if l.proxies != nil {
		l.proxies.forget(s.ref())
	}
	l.writer.saw(topicStatus(id), "", digest{})
	if l.leading {
		l.unreport(topicReport(id))
	}
}

// labels takes in the labels of a namespace.
func (l *loop) labels(c feed.Change) bool {
	if c.ID.Group != "" || c.ID.Kind != "Namespace" {
		return false
	}
	was, known := l.namespaces[c.ID.Name]
	if c.Object == nil || c.Deleted {
		delete(l.namespaces, c.ID.Name)
		return known
	}
	l.namespaces[c.ID.Name] = c.Object.Labels
	return !known || !maps.Equal(was, c.Object.Labels)
}

// binding takes in a MeshBinding. It reports whether another one is wanted now.
func (l *loop) binding(c feed.Change) bool {
	was := l.bindings[c.ID.Name]
	l.todoBindings = true
	if c.Deleted {
		delete(l.bindings, c.ID.Name)
		delete(l.programmed, c.ID.Name)
		l.writer.saw(topicBinding(c.ID.Name), "", digest{})
		l.writer.saw(topicFinalizer(c.ID.Name), "", digest{})
		return was != nil
	}
	now, b := l.boundOf(c)
	for _, old := range b.Status.Conditions {
		if old.Type == v1alpha1.ConditionProgrammed {
			now.said = stated{condition{old.Type, string(old.Status), old.Reason, old.Message}, old.ObservedGeneration}
		}
	}
	if _, said := l.programmed[c.ID.Name]; !said && now.said != (stated{}) { // by who led before
		l.programmed[c.ID.Name] = now.said
	}
	l.bindings[c.ID.Name] = now
	l.writer.saw(topicBinding(c.ID.Name), c.Meta.ResourceVersion, bindingDigest(b.Status))
	l.writer.saw(topicFinalizer(c.ID.Name), c.Meta.ResourceVersion, digestOf(now.finalized))
	l.guard(now)
	return was == nil || was.generation != now.generation || was.owner != now.owner || was.leaving != now.leaving || was.finalized != now.finalized
}

// guard sees to it that a binding that writes to Consul stays until nothing of it is
// left there, and one that does not goes.
func (l *loop) guard(b *bound) {
	if b.invalid == "" && !b.leaving && needsConsul(b.Target) && !b.finalized && l.publisher.sinks[SinkConsul] != nil {
		l.finalize(b.owner.Binding, true)
	}
}

func (l *loop) finalize(name string, on bool) {
	if !l.leading {
		return
	}
	l.writer.want(topicFinalizer(name), saying{digestOf(on), func(ctx context.Context) (string, error) {
		return finalize(ctx, l.statuses.client, name, on)
	}})
}

// report takes in what a report says, and has one deleted whose object is gone.
func (l *loop) report(c feed.Change) {
	t := topic{"report", v1alpha1.Group, v1alpha1.KindTranslationReport, c.ID.Namespace, c.ID.Name}
	if c.Deleted {
		from, known := l.orphans[t]
		delete(l.orphans, t)
		if l.writer.saw(t, "", digest{}) && known { // and not by us
			l.again(sourceID(from, t.namespace))
		}
		return
	}
	r, err := readReport(c.JSON)
	if err != nil || r.Labels[sink.ManagedByLabel] != sink.ManagedBy {
		r.Status = v1alpha1.TranslationReportStatus{} // whatever it says, it is written anew
	}
	if from, known := l.orphans[t]; l.writer.saw(t, c.Meta.ResourceVersion, digestOf(timeless(r.Status))) && known {
		l.again(sourceID(from, t.namespace)) // whoever wrote that
	}
	l.orphans[t] = r.Status.Source
	l.audit.recall(sourceID(r.Status.Source, t.namespace), r.Status.Findings)
	if l.leading && l.compiled {
		l.orphan(t)
	}
}

// orphan deletes a report whose object is known to be gone.
func (l *loop) orphan(t topic) {
	from, ok := l.orphans[t]
	if !ok {
		return
	}
	id := sourceID(from, t.namespace)
	if k := l.kinds[groupKind{id.Group, id.Kind}]; l.sources[id] == nil && k.Served && k.Synced {
		l.unreport(t)
	}
}

// sourceID is the object that a report is about.
func sourceID(s v1alpha1.SourceReference, namespace string) input.ID {
	return input.ID{Group: groupOf(s.APIVersion), Kind: s.Kind, Namespace: namespace, Name: s.Name}
}

// unreport deletes a report.
func (l *loop) unreport(t topic) {
	l.writer.want(t, saying{say: func(ctx context.Context) (string, error) { return l.reports.remove(ctx, t) }})
}

// saw takes down what the status of a source says now.
func (l *loop) saw(s *source, status json.RawMessage) {
	if d, ok := statusDigest(s.id, status); ok {
		l.writer.saw(topicStatus(s.id), s.meta.ResourceVersion, d)
	}
}

// bind resolves bindings and namespaces anew, and binds the engine.
func (l *loop) bind() {
	var usable []binding.Binding
	live := map[string]terms{}
	for name, b := range l.bindings {
		if b.leaving {
			live[name] = terms{owner: b.owner, leaving: true}
			continue
		}
		if b.invalid != "" {
			// what it said when it could be used stays in force: see below
			if t, ok := l.terms[name]; ok {
				live[name] = t
			}
			continue
		}
		usable = append(usable, b.Binding)
		live[name] = terms{owner: b.owner, backend: b.Target.Backend, paused: b.Paused, created: b.Created, unguarded: needsConsul(b.Target) && !b.finalized}
	}
	for name, b := range l.lastUsable {
		if now := l.bindings[name]; now != nil && now.invalid != "" && !now.leaving {
			usable = append(usable, b)
		}
	}
	l.terms, l.lastUsable = live, map[string]binding.Binding{}
	for _, b := range usable {
		l.lastUsable[b.Name] = b
	}
	l.table = binding.Resolve(usable, l.namespaces, time.Now())
	l.here = map[string][]service{}
	for _, b := range l.table.Bounds {
		for _, n := range l.table.Namespaces[b.Name] {
			l.here[n] = append(l.here[n], service{b.Name, b.Backend, b.Version})
		}
	}
	step := l.world.bind(l.table, usable, l.namespaces)
	l.rebound()
	l.publisher.hand(work{bindings: live, there: l.there(), early: !l.compiled})
	l.settle(step)
	l.release(true)
	for id := range l.sources {
		l.todo[id] = true
	}
	l.todoBindings = true
}

// there are the names of all MeshBindings, usable or not; nil while they cannot be
// read, when nothing follows of a binding that does not show.
func (l *loop) there() map[string]bool {
	kinds := l.feed.State().Kinds
	i := slices.IndexFunc(kinds, func(k feed.KindState) bool {
		return k.Group == v1alpha1.Group && k.Kind.Kind == v1alpha1.KindMeshBinding
	})
	if i < 0 || !kinds[i].Served || !kinds[i].Synced || kinds[i].Trouble != "" {
		return nil
	}
	names := map[string]bool{}
	for name := range l.bindings {
		names[name] = true
	}
	return names
}

// rebind is what the clock brings about (6): a waiver has expired.
func (l *loop) rebind() {
	if !l.table.Next.IsZero() && !time.Now().Before(l.table.Next) && l.compiled {
		l.turn++
		l.bind()
	}
}

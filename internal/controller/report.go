package controller

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// groupOf is the group of an apiVersion.
func groupOf(apiVersion string) string {
	group, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return ""
	}
	return group
}

// work makes reports, at most n, and then what there is to be said of bindings.
func (l *loop) work(n int) {
	var gateways []input.ID
	for id := range l.todo {
		if n--; n < 0 {
			break
		}
		delete(l.todo, id)
		l.tell(id)
		if isGateway(id.Group) {
			gateways = append(gateways, id)
		}
	}
	l.gateways(gateways)
	if l.todoBindings && len(l.todo) == 0 {
		l.todoBindings = false
		l.tellBindings()
		for t := range l.orphans {
			l.orphan(t)
		}
	}
}

// tell reports on a source.
func (l *loop) tell(id input.ID) {
	src := l.sources[id]
	if src == nil {
		return
	}
	s := l.subject(src)
	delete(l.awaiting, id)
	if len(s.bindings) == 0 {
		l.lost(src, v1alpha1.TranslationReportStatus{})
		if t := topicReport(id); l.writer.said(t) {
			l.unreport(t)
		}
		return
	}
	status := s.status()
	l.lost(src, status)
	conditions := map[string][]metav1.Condition{}
	pending := false
	for _, b := range status.Backends {
		conditions[b.Binding] = b.Conditions
		for _, c := range b.Conditions {
			pending = pending || c.Reason == reasonPending
			if c.Status == metav1.ConditionUnknown || c.Reason == reasonRejected {
				l.awaiting[id] = l.awaiting[id] || c.Reason != reasonNoProxies
			}
		}
	}
	if pending && l.later(id) {
		return
	}
	delete(l.deferred, id)
	t := topicReport(id)
	exists, event := l.writer.said(t), l.events.take(id)
	l.writer.want(t, saying{digestOf(timeless(status)), func(ctx context.Context) (string, error) {
		ctx, ended := stopwatch{l.metrics, l.traces}.begins(ctx, event, telemetry.WriteReport, t.namespace+"/"+t.name)
		event = cause{} // another attempt is no other write
		version, err := l.reports.put(ctx, t, status, exists, isSMI(id.Group))
		ended(err)
		return version, err
	}})
	if isSMI(id.Group) {
		l.conditions(src, foremost(conditions))
	}
}

// The patience of reports: what is under way is mostly known soon, and one report
// then says all.
const (
	usualPatience = 5 * time.Second
	firstPatience = 30 * time.Second
	// Where there is much to write at the start, that takes as long as it takes, but
	// reports wait no longer than this.
	longestPatience = 10 * time.Minute
)

// later reports whether a report waits for what is under way.
func (l *loop) later(id input.ID) bool {
	now := time.Now()
	until, waits := l.deferred[id]
	switch {
	case !waits:
		until = now.Add(usualPatience)
		if first := l.started.Add(firstPatience); first.After(until) {
			until = first
		}
	case !now.Before(until) && now.Before(l.started.Add(longestPatience)) && l.publisher.goesOn(now):
		until = now.Add(usualPatience)
	}
	l.deferred[id] = until
	return now.Before(until)
}

// goesOn reports whether what there is to write at the start is still being written.
func (p *publisher) goesOn(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.through && now.Sub(p.wrote) < usualPatience
}

// patience has reports made that have waited long enough.
func (l *loop) patience() {
	if len(l.awaiting) > 0 && time.Since(l.lookedAt) > usualPatience {
		l.looked() // a proxy that is silent is no longer waited for
	}
	for id, until := range l.deferred {
		if !time.Now().Before(until) {
			l.again(id)
		}
	}
}

// subject collects what there is to be said of a source.
func (l *loop) subject(src *source) subject {
	s := subject{ref: src.ref(), version: src.meta.Version, uid: src.meta.UID, generation: src.meta.Generation,
		rejected: src.rejected, found: src.found, audited: l.audit.found[src.id], behind: map[string]string{}}
	concerned := map[string]service{}
	for _, b := range l.here[src.id.Namespace] {
		concerned[b.binding] = b
	}
	for _, k := range l.world.keys(src.id) {
		made, ok := l.world.made(k)
		if !ok {
			continue
		}
		s.made = append(s.made, made)
		for _, p := range made.Pieces {
			if why := l.behind(src, k, made, p); why != "" {
				s.behind[p.Name] = why
			}
		}
		l.others(s.ref, made, concerned)
	}
	for _, name := range slices.Sorted(maps.Keys(concerned)) {
		s.bindings = append(s.bindings, concerned[name])
	}
	s.programming = func(b service, artifacts []translators.Artifact) condition {
		return l.programming(s.ref, b, artifacts)
	}
	return s
}

// others adds the bindings of other namespaces in whose output an object takes part.
func (l *loop) others(ref report.Ref, made engine.Made, concerned map[string]service) {
	for _, p := range made.Pieces {
		if _, known := concerned[p.Name]; known {
			continue
		}
		if slices.ContainsFunc(p.Artifacts, func(a translators.Artifact) bool {
			return slices.ContainsFunc(a.Refs, func(r report.Ref) bool { return r.Object() == ref })
		}) {
			t := l.lastUsable[p.Name].Target
			concerned[p.Name] = service{p.Name, t.Backend, t.Version}
		}
	}
}

// programming says whether artifacts of a binding are in force.
func (l *loop) programming(ref report.Ref, b service, artifacts []translators.Artifact) condition {
	const kind = v1alpha1.ConditionProgrammed
	bound := l.lastUsable[b.binding]
	switch {
	case bound.Paused:
		return unknown(reasonPaused, "the binding is paused: what is in force stays")
	case l.withheld[b.binding]:
		return fails(kind, reasonWithheld, "nothing of the binding's output may be applied: what closes another workload cannot be said")
	case served(bound.Target) && l.proxies == nil:
		return unknown(reasonNoProxies, "this replica serves no proxies")
	case served(bound.Target) && len(l.unserved) > 0:
		return unknown(reasonPending, "proxies could not be given what changed last; the log says why")
	case served(bound.Target):
		return l.proxies.programmed(ref, b, artifacts)
	}
	worst := Outcome{State: Written}
	for _, a := range artifacts {
		at := slot{b.binding, sinkOf(a.ID), a.ID}
		if l.publisher.sinks[at.sink] == nil {
			return fails(kind, reasonNoSink, noSink(at.sink))
		}
		o, ok := l.publisher.outcomeOf(at)
		if !ok {
			o = Outcome{State: Pending} // or it is claimed by another unit, and left out
		}
		if slices.Index(severity, o.State) > slices.Index(severity, worst.State) {
			worst = o
		}
	}
	return outcomeCondition(worst)
}

// noSink says what is missing.
func noSink(name string) string {
	if name == SinkConsul {
		return "the controller is given no address of Consul (--consul-address)"
	}
	return "the controller writes no objects"
}

// conditions writes the conditions of an SMI object where its definition lets them.
func (l *loop) conditions(src *source, want []condition) {
	k, ok := l.kinds[groupKind{src.id.Group, src.id.Kind}]
	if !ok {
		return
	}
	at := schema.GroupVersionResource{Group: k.Group, Version: src.meta.Version, Resource: k.Resource}
	id, uid := src.id, src.meta.UID
	l.writer.want(topicStatus(id), saying{conditionsDigest(want, src.meta.Generation), func(ctx context.Context) (string, error) {
		if has, err := l.subresources.has(ctx, at); err != nil || !has {
			return "", err
		}
		return l.statuses.edit(ctx, at, id.Namespace, id.Name, uid, conditionsSetter(want))
	}})
}

// lost counts what an object loses.
func (l *loop) lost(src *source, s v1alpha1.TranslationReportStatus) {
	var now []telemetry.Loss
	for _, b := range s.Backends {
		for _, f := range b.Findings {
			if c := report.Class(f.Class); f.Class != "" && c.Worse(report.Exact) {
				now = append(now, telemetry.Loss{Backend: b.Backend, Class: f.Class, Code: f.Code})
			}
		}
	}
	l.metrics.Lost(src.losses, now)
	src.losses = now
}

// tellBindings reports on every binding.
func (l *loop) tellBindings() {
	tallies := l.publisher.tally()
	for name, b := range l.bindings {
		if b.leaving {
			continue
		}
		s := bindingSubject{generation: b.generation, invalid: b.invalid, conflict: l.table.Conflicts[name], namespaces: len(l.table.Namespaces[name]),
			paused: b.Paused, withheld: l.withheld[name], tally: tallies[name], objects: tallies[name].wanted}
		if b.invalid == "" {
			l.addForm(&s, b)
		}
		status := l.steady(name, s)
		l.writer.want(topicBinding(name), saying{bindingDigest(status), func(ctx context.Context) (string, error) {
			return l.statuses.edit(ctx, bindingsResource, "", name, b.owner.UID, bindingSetter(status))
		}})
	}
}

// steady makes the status of a binding. While an edit is under way what was
// programmed is not said to be otherwise: the reports on objects say that. An edit of
// the binding itself is another matter: see replaced.
func (l *loop) steady(name string, s bindingSubject) v1alpha1.MeshBindingStatus {
	status := s.status()
	for i, c := range status.Conditions {
		if c.Type != v1alpha1.ConditionProgrammed {
			continue
		}
		was := l.programmed[name]
		settled := was.Status == string(metav1.ConditionTrue) || was.Reason == reasonRejected
		if c.Reason == reasonPending && settled && was.generation == s.generation {
			status.Conditions[i].Status, status.Conditions[i].Reason, status.Conditions[i].Message = metav1.ConditionStatus(was.Status), was.Reason, was.Message
		}
		c = status.Conditions[i]
		l.programmed[name] = stated{condition{c.Type, string(c.Status), c.Reason, c.Message}, s.generation}
	}
	return status
}

// addForm says of a binding what depends on how its mesh is told.
func (l *loop) addForm(s *bindingSubject, b *bound) {
	name := b.owner.Binding
	if s.served = served(b.Target); s.served {
		s.objects = l.shared.count(b.Target.Backend, name)
		s.proxies = unknown(reasonNoProxies, "this replica serves no proxies")
		if l.proxies != nil {
			s.proxies = l.proxies.all(b.Target.Backend)
		}
	}
	for _, kind := range []string{SinkCluster, SinkConsul} {
		needed := needsConsul(b.Target)
		if kind == SinkCluster {
			needed = !s.served && b.Target.Backend != "consul" || b.Target.Backend == "consul" && !needed
		}
		if needed && l.publisher.sinks[kind] == nil {
			s.noSink = noSink(kind)
		}
	}
}

package cli

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/ask"
	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// planState is one of the two states that a plan compares.
type planState struct {
	bindings []binding.Binding
	table    binding.Table
	settings input.Settings
	store    *input.Store
	// set tells where objects stand, and also where those do that are not in it.
	set, also *input.Set
	// outputs by binding are what the engine makes of it.
	outputs map[string]translators.Output
	// guarded holds the workloads, by "namespace/account", and whether each mesh that
	// has them denies what no grant allows.
	guarded map[string]bool
	// stays holds those of them of which nothing would be written.
	stays map[string]bool
}

func newPlanState(g given, settings input.Settings, now time.Time) *planState {
	s := &planState{set: g.set, settings: settings}
	var others []input.Object
	s.bindings, others, _ = binding.Split(g.objects, all.Pipeline())
	s.table = binding.Resolve(s.bindings, namespaces(others), now)
	s.store = input.StoreOf(others, settings)
	s.store.Configure(settings, s.table.With(settings))
	return s
}

func isBinding(group, kind string) bool {
	return group == v1alpha1.Group && kind == v1alpha1.KindMeshBinding
}

// enter brings an engine to the state, and notes what it makes of it.
func (s *planState) enter(e *engine.Engine) {
	e.Bind(s.settings, s.table.With(s.settings), s.table.Bounds)
	res := e.Run(s.store)
	s.outputs, s.guarded, s.stays = map[string]translators.Output{}, map[string]bool{}, map[string]bool{}
	for _, o := range res.Outputs {
		s.outputs[o.Target.Name] = o
	}
	for _, u := range res.Units {
		if u.Workload == nil || len(u.Workload.Pods) == 0 && !u.Workload.Enforced {
			continue
		}
		name := u.Workload.Namespace + "/" + u.Workload.Account
		made, _ := e.Made(u.Key())
		s.guarded[name] = len(made.Pieces) > 0
		for _, p := range made.Pieces {
			told := p.Unit.Workload
			if told == nil || !told.Enforced || p.Withheld {
				s.guarded[name] = false
			}
			if b, _ := s.binding(p.Name); b.Paused || s.outputs[p.Name].Withheld {
				s.stays[name] = true
			}
		}
	}
}

// owners are the targets of the bindings that have a namespace.
func (s *planState) owners(namespace string) []translators.Target {
	var out []translators.Target
	for _, b := range s.table.Bounds {
		if b.Scope.Own[namespace] {
			out = append(out, b.Target)
		}
	}
	return out
}

// binding returns the one of a name.
func (s *planState) binding(name string) (binding.Binding, bool) {
	i := slices.IndexFunc(s.bindings, func(b binding.Binding) bool { return b.Name == name })
	if i < 0 {
		return binding.Binding{}, false
	}
	return s.bindings[i], true
}

// plan is what it would come to.
type plan struct {
	before, after *planState
	bindings      []planBinding
	behaviour     []planBehaviour
	opens, closes []string
}

// planBinding is what a binding would do.
type planBinding struct {
	name string
	// was and is are the back end before and after; empty where there is no binding.
	was, is                string
	paused, withheld       bool
	joins, leaves          []string
	create, change, remove []translators.ID
	come, gone             report.Report
}

// planBehaviour is what would be decided otherwise, by the policies or, where a
// mesh takes the place of another, by what these make of them.
type planBehaviour struct {
	by string
	difference
	// silent says why nothing can be said.
	silent string
}

// planOf compares two states as a controller would go from one to the other.
func planOf(before, after *planState) (plan, error) {
	e := engine.New(all.Pipeline(), nil, nil)
	e.KeepGood(true)
	before.enter(e)
	after.enter(e)
	p := plan{before: before, after: after}
	var names []string
	for _, s := range []*planState{before, after} {
		for _, b := range s.bindings {
			names = append(names, b.Name)
		}
	}
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		b, err := p.binding(n)
		if err != nil {
			return p, err
		}
		p.bindings = append(p.bindings, b)
	}
	p.access()
	p.decisions()
	return p, nil
}

// binding compares what a binding makes.
func (p *plan) binding(name string) (planBinding, error) {
	out := planBinding{name: name}
	if b, ok := p.before.binding(name); ok {
		out.was = backendName(b.Target)
	}
	if b, ok := p.after.binding(name); ok {
		out.is, out.paused = backendName(b.Target), b.Paused
	}
	out.joins, out.leaves = lacking(p.after.table.Namespaces[name], p.before.table.Namespaces[name])
	was, is := p.before.outputs[name], p.after.outputs[name]
	out.come, out.gone = lossesOf(is, was), lossesOf(was, is)
	if out.withheld = is.Withheld; out.withheld || out.paused {
		return out, nil // what is in force stays
	}
	old, err := contentsOf(was)
	if err != nil {
		return out, err
	}
	now, err := contentsOf(is)
	if err != nil {
		return out, err
	}
	for _, a := range is.Artifacts {
		switch text, ok := old[slotOf(is, a)]; {
		case !ok:
			out.create = append(out.create, a.ID)
		case !bytes.Equal(text, now[slotOf(is, a)]):
			out.change = append(out.change, a.ID)
		}
	}
	for _, a := range was.Artifacts {
		if _, ok := now[slotOf(was, a)]; !ok {
			out.remove = append(out.remove, a.ID)
		}
	}
	return out, nil
}

// lacking returns what is only in the one of two sorted lists and in the other.
func lacking(a, b []string) (only, other []string) {
	for _, n := range a {
		if !slices.Contains(b, n) {
			only = append(only, n)
		}
	}
	for _, n := range b {
		if !slices.Contains(a, n) {
			other = append(other, n)
		}
	}
	return only, other
}

// place is where an artifact is kept. Resources of xDS are served by name to the
// proxies of one mesh, so those of two are not the same.
type planPlace struct {
	translators.Slot
	backend string
}

func slotOf(o translators.Output, a translators.Artifact) planPlace {
	p := planPlace{Slot: a.Slot()}
	if strings.Contains(a.ID.Type, "googleapis.com") {
		p.backend = o.Target.Backend
	}
	return p
}

func contentsOf(o translators.Output) (map[planPlace][]byte, error) {
	out := make(map[planPlace][]byte, len(o.Artifacts))
	for _, a := range o.Artifacts {
		content, err := sink.Plain(a.Payload)
		if err != nil {
			return nil, err
		}
		if out[slotOf(o, a)], err = json.Marshal(content); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// lossesOf lists what one output loses and another does not.
func lossesOf(o, other translators.Output) report.Report {
	type said struct {
		backend, message string
		code             report.Code
		class            report.Class
		severity         report.Severity
		at               report.Ref
	}
	key := func(f report.Finding) said {
		return said{f.Backend, f.Message, f.Code, f.Class, f.Severity, f.Source}
	}
	known := map[said]bool{}
	for _, f := range other.Findings {
		known[key(f)] = true
	}
	var out report.Report
	for _, f := range o.Findings.Sorted() {
		if f.Severity.AtLeast(report.Warning) && !known[key(f)] {
			out = append(out, f)
		}
	}
	return out
}

// access finds out what would be open that is not, and the other way round. A
// workload that nobody knows yet, or any more, is no change of access.
func (p *plan) access() {
	for _, w := range sortedKeys(p.after.guarded) {
		was, known := p.before.guarded[w]
		switch is := p.after.guarded[w]; {
		case p.after.stays[w]:
		case known && was && !is:
			p.opens = append(p.opens, w)
		case is && !was && known:
			p.closes = append(p.closes, w)
		}
	}
}

// decisions compares requests by what the policies mean and, of namespaces whose
// mesh is exchanged, by what the two meshes make of them.
func (p *plan) decisions() {
	p.compare("what the policies mean", translators.Target{}, translators.Target{}, nil)
	type exchange struct{ was, is string }
	seen := map[exchange][]string{}
	targets := map[exchange][2]translators.Target{}
	var order []exchange
	for _, n := range sortedKeys(namespaces(slices.Concat(p.before.store.Objects(), p.after.store.Objects()))) {
		was, is := exchanged(p.before.owners(n), p.after.owners(n))
		if len(was) != 1 || len(is) != 1 {
			continue
		}
		x := exchange{was[0].Name + was[0].Backend, is[0].Name + is[0].Backend}
		if _, ok := seen[x]; !ok {
			order, targets[x] = append(order, x), [2]translators.Target{was[0], is[0]}
		}
		seen[x] = append(seen[x], n)
	}
	for _, x := range order {
		p.compare("what "+name(targets[x][0])+" and then "+name(targets[x][1])+" make of them in "+strings.Join(seen[x], ", "),
			targets[x][0], targets[x][1], seen[x])
	}
}

// exchanged returns the targets that are only in one of two lists.
func exchanged(was, is []translators.Target) (only, other []translators.Target) {
	in := func(list []translators.Target, t translators.Target) bool {
		return slices.ContainsFunc(list, func(o translators.Target) bool {
			return o.Backend == t.Backend && o.Version == t.Version && o.TrustDomain == t.TrustDomain && sameOptions(o.Options, t.Options)
		})
	}
	for _, t := range was {
		if !in(is, t) {
			only = append(only, t)
		}
	}
	for _, t := range is {
		if !in(was, t) {
			other = append(other, t)
		}
	}
	return only, other
}

func sameOptions(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// compare asks both states, and keeps what is about some namespaces; nil: all.
func (p *plan) compare(by string, was, is translators.Target, among []string) {
	one := planBehaviour{by: by, difference: difference{names: [2]string{"old", "new"},
		sets: [2]*input.Set{p.before.set, p.after.set}}}
	before, after := ask.Sides(program(), p.before.store, was)[0], ask.Sides(program(), p.after.store, is)[0]
	for _, s := range []ask.Side{before, after} {
		if err := s.Silent(); err != nil {
			one.silent = err.Error()
			p.behaviour = append(p.behaviour, one)
			return
		}
	}
	one.found = ask.Compare(before, after)
	if among != nil {
		one.found = within(one.found, among)
	}
	p.behaviour = append(p.behaviour, one)
}

// within keeps the changes of callees of some namespaces.
func within(c ask.Compared, namespaces []string) ask.Compared {
	out := ask.Compared{Kinds: c.Kinds}
	for _, one := range c.Changes {
		one.Callees = slices.DeleteFunc(slices.Clone(one.Callees), func(k ir.Key) bool { return !slices.Contains(namespaces, k.Namespace) })
		if len(one.Callees) > 0 {
			out.Changes = append(out.Changes, one)
			out.Otherwise += one.Kinds
		}
	}
	return out
}

// changes reports whether anything changes that is not allowed.
func (p plan) changes(allowed []string) bool {
	found := map[string]bool{"opens": len(p.opens) > 0, "closes": len(p.closes) > 0}
	for _, b := range p.bindings {
		found["objects"] = found["objects"] || len(b.create)+len(b.change)+len(b.remove) > 0
		found["losses"] = found["losses"] || len(b.come)+len(b.gone) > 0
	}
	for _, b := range p.behaviour {
		found["behaviour"] = found["behaviour"] || b.found.Otherwise > 0 || b.silent != ""
	}
	for _, kind := range changeKinds {
		if found[kind] && !slices.Contains(allowed, kind) {
			return true
		}
	}
	return false
}

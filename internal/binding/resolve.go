package binding

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// nameLabel is on every namespace of an API server.
const nameLabel = "kubernetes.io/metadata.name"

// Table is what a set of bindings comes to.
type Table struct {
	// Bounds has one entry for each binding that has a namespace, by name. Whoever
	// has none gets nothing, not even what a mesh is told at large.
	Bounds []engine.Bound
	// Settings by namespace: access and dialect, of those that are bound.
	Settings map[string]input.Settings
	// Namespaces that each binding has, sorted. Every binding has an entry.
	Namespaces map[string][]string
	// Conflicts say of a binding why it has not all that it selects.
	Conflicts map[string]string
	// Next is when a waiver expires next, so that the table is another; zero: never.
	Next time.Time
}

// Found says of each binding that has not all that it selects why, sorted by name.
func (t Table) Found() report.Report {
	var out report.Report
	for _, name := range slices.Sorted(maps.Keys(t.Conflicts)) {
		at := report.Ref{Group: v1alpha1.Group, Kind: v1alpha1.KindMeshBinding, Name: name, Field: "spec.namespaceSelector"}
		out = append(out, report.New(report.BindingConflict, at, t.Conflicts[name]))
	}
	return out
}

// With returns the settings of namespaces with what def says beside access and
// dialect.
func (t Table) With(def input.Settings) map[string]input.Settings {
	out := map[string]input.Settings{}
	for namespace, s := range t.Settings {
		s.Complete, s.Workloads = def.Complete, def.Workloads
		out[namespace] = s
	}
	return out
}

// Resolve says who has which namespaces, given by their labels. The order of
// bindings does not matter; their names are distinct.
//
// Several bindings have a namespace if their back ends' names differ and their
// access and dialect are equal. Else the older one has it, by creation time (one
// without is younger than all others) and then by name.
//
// A binding has all units of its namespaces. The callers' side of all others, where
// calls to a name go, is needed on every mesh that anybody is on: of each back end
// the oldest binding that has a namespace gets it.
func Resolve(bindings []Binding, namespaces map[string]map[string]string, now time.Time) Table {
	r := resolver{table: Table{Settings: map[string]input.Settings{}, Namespaces: map[string][]string{}, Conflicts: map[string]string{}},
		bindings: slices.SortedFunc(slices.Values(bindings), Binding.older), namespaces: slices.Sorted(maps.Keys(namespaces)),
		own: map[string]map[string]bool{}, refused: map[string][]string{}}
	for _, b := range r.bindings {
		r.own[b.Name] = map[string]bool{}
		r.table.Namespaces[b.Name] = []string{}
	}
	for _, n := range r.namespaces {
		r.namespace(n, labelled{namespaces[n], n})
	}
	for name, why := range r.refused {
		r.table.Conflicts[name] = because(why)
	}
	r.bound(now)
	return r.table
}

// older orders bindings by age.
func (b Binding) older(o Binding) int {
	if b.Created.IsZero() != o.Created.IsZero() {
		if b.Created.IsZero() {
			return 1
		}
		return -1
	}
	return cmp.Or(b.Created.Compare(o.Created), strings.Compare(b.Name, o.Name))
}

// labelled are the labels of a namespace, with the one that an API server adds.
type labelled struct {
	labels.Set
	name string
}

// Has implements labels.Labels.
func (l labelled) Has(label string) bool { return label == nameLabel || l.Set.Has(label) }

// Get implements labels.Labels.
func (l labelled) Get(label string) string {
	if label == nameLabel {
		return l.name
	}
	return l.Set.Get(label)
}

// Lookup implements labels.Labels.
func (l labelled) Lookup(label string) (string, bool) { return l.Get(label), l.Has(label) }

// resolver holds the state of one Resolve.
type resolver struct {
	bindings   []Binding // INPUT, the oldest first
	namespaces []string  // INPUT
	// own are the namespaces of each binding, refused why it has not the others.
	own     map[string]map[string]bool
	refused map[string][]string
	table   Table // OUTPUT
}

// namespace finds out who has a namespace.
func (r *resolver) namespace(name string, l labels.Labels) {
	var owners []Binding
	for _, b := range r.bindings {
		if !b.Selector.Matches(l) {
			continue
		}
		if why := conflict(owners, b); why != "" {
			r.refused[b.Name] = append(r.refused[b.Name], "namespace "+name+" "+why)
			continue
		}
		owners = append(owners, b)
		r.own[b.Name][name] = true
		r.table.Namespaces[b.Name] = append(r.table.Namespaces[b.Name], name)
		r.table.Settings[name] = input.Settings{Access: b.Access, Dialect: b.Dialect}
	}
}

// conflict says why a binding cannot have a namespace beside those that have it.
func conflict(owners []Binding, b Binding) string {
	for _, o := range owners {
		switch {
		case o.Target.Backend == b.Target.Backend:
			return fmt.Sprintf("is bound to %s by the older %s", o.Target.Backend, o.Name)
		case o.Access != b.Access:
			return fmt.Sprintf("has access %s, not %s, by the older %s", o.Access, b.Access, o.Name)
		case o.Dialect != b.Dialect:
			return fmt.Sprintf("has dialect %s, not %s, by the older %s", o.Dialect, b.Dialect, o.Name)
		}
	}
	return ""
}

// because joins reasons to one, however many there are.
func because(why []string) string {
	if more := len(why) - 1; more > 0 {
		return fmt.Sprintf("%s; and so with %d more", why[0], more)
	}
	return why[0]
}

// bound makes what an engine is bound to.
func (r *resolver) bound(now time.Time) {
	caller := map[string]string{} // by back end, the binding that gets all calls
	owned := map[string]map[string]bool{}
	for _, b := range r.bindings {
		if len(r.own[b.Name]) == 0 {
			continue
		}
		name := b.Target.Backend
		if _, ok := caller[name]; !ok {
			caller[name], owned[name] = b.Name, map[string]bool{}
		}
		maps.Copy(owned[name], r.own[b.Name])
	}
	for _, b := range r.bindings {
		if len(r.own[b.Name]) == 0 {
			continue
		}
		scope := &engine.Scope{Own: r.own[b.Name], Calls: map[string]bool{}}
		if caller[b.Target.Backend] == b.Name {
			for _, n := range r.namespaces {
				if !owned[b.Target.Backend][n] {
					scope.Calls[n] = true
				}
			}
		}
		r.table.Bounds = append(r.table.Bounds, engine.Bound{Target: b.Target, Scope: scope, Waivers: r.waivers(b, now), Gate: b.Gate})
	}
	slices.SortFunc(r.table.Bounds, func(a, b engine.Bound) int { return strings.Compare(a.Name, b.Name) })
}

// waivers returns those that hold, and notes when one of them stops to.
func (r *resolver) waivers(b Binding, now time.Time) []feature.Waiver {
	var out []feature.Waiver
	for _, w := range b.Waivers {
		if !w.Expires.IsZero() {
			if !w.Expires.After(now) {
				continue
			}
			if r.table.Next.IsZero() || w.Expires.Before(r.table.Next) {
				r.table.Next = w.Expires
			}
		}
		out = append(out, w.Waiver)
	}
	return out
}

package kube

import (
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
)

// namesakes finds Services by name, in whatever namespace.
var namesakes = input.Index{Name: "kube/services-by-name", Keys: func(o input.Object) []string {
	if _, ok := o.Value.(*Service); !ok || o.Rejected {
		return nil
	}
	return []string{o.ID.Name}
}}

// Source makes a source of a grant. Where a mesh knows its callers by the name
// of their Service, an account goes by those that select its pods, or by its own
// name where there is none, and so does everybody else behind a Service of that name.
func Source(r input.Reader, id ir.Identity, s ir.Source) ir.Source {
	s.Identity = id
	if id.SPIFFE != "" {
		return s
	}
	names := []string{id.Account}
	for _, p := range ofAccount(r, id.Namespace, id.Account) {
		s.Services = append(s.Services, selecting(r, id.Namespace, p.Labels)...)
	}
	slices.SortFunc(s.Services, ir.Name.Compare)
	if s.Services = slices.Compact(s.Services); len(s.Services) > 0 {
		names = nil
	}
	for _, n := range s.Services {
		names = append(names, n.Name)
	}
	for _, n := range names {
		for _, o := range r.Lookup(namesakes, n) {
			for _, other := range Behind(r, o.Namespace, *o.Value.(*Service)) {
				if other != id {
					s.Lookalikes = append(s.Lookalikes, other)
				}
			}
		}
	}
	slices.SortFunc(s.Lookalikes, ir.Identity.Compare)
	s.Lookalikes = slices.Compact(s.Lookalikes)
	return s
}

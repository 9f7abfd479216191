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

// accounts finds what says that there is an account of a name, in whatever namespace.
var accounts = input.Index{Name: "kube/accounts-by-name", Keys: func(o input.Object) []string {
	switch v := o.Value.(type) {
	case *Account:
		return []string{o.ID.Name}
	case *Pods:
		return []string{v.Account}
	}
	return nil
}}

// serving returns the Services that select pods of an account, sorted.
func serving(r input.Reader, id ir.Identity) []ir.Name {
	var out []ir.Name
	for _, p := range ofAccount(r, id.Namespace, id.Account) {
		out = append(out, selecting(r, id.Namespace, p.Labels)...)
	}
	slices.SortFunc(out, ir.Name.Compare)
	return slices.Compact(out)
}

// Source makes a source of a grant. Where a mesh knows its callers by the name
// of their Service, an account goes by those that select its pods, or by its own
// name where there is none, and so does everybody else behind a Service of that name.
func Source(r input.Reader, id ir.Identity, s ir.Source) ir.Source {
	s.Identity = id
	if id.SPIFFE != "" {
		return s
	}
	names := []string{id.Account}
	if s.Services = serving(r, id); len(s.Services) > 0 {
		names = nil
	}
	for _, n := range s.Services {
		names = append(names, n.Name)
	}
	var all []ir.Identity
	for _, n := range names {
		for _, o := range r.Lookup(namesakes, n) {
			all = append(all, Behind(r, o.Namespace, *o.Value.(*Service))...)
		}
		for _, o := range r.Lookup(accounts, n) { // who has no Service goes by its own name
			if other := (ir.Identity{Namespace: o.Namespace, Account: n}); len(serving(r, other)) == 0 {
				all = append(all, other)
			}
		}
	}
	slices.SortFunc(all, ir.Identity.Compare)
	for _, other := range slices.Compact(all) {
		if other != id {
			s.Lookalikes = append(s.Lookalikes, other)
		}
	}
	return s
}

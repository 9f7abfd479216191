//go:build meshknot_broken

package demo

import (
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// pipeline is what the demonstration translates with: here its back ends are
// wrong on purpose, and a demonstration that does not notice is worth nothing.
func pipeline() translators.Pipeline {
	p := all.Pipeline()
	for i, b := range p.Backends {
		p.Backends[i] = broken{b}
	}
	return p
}

// broken swaps the weights of splits and drops the conditions of grants.
type broken struct{ translators.Backend }

func (b broken) Translate(u ir.Unit, t translators.Target) ([]translators.Artifact, report.Report) {
	switch {
	case u.Service != nil:
		s := *u.Service
		s.Ports = slices.Clone(s.Ports)
		for i := range s.Ports {
			s.Ports[i].Routes = swapped(s.Ports[i].Routes)
		}
		u.Service = &s
	case u.Workload != nil:
		w := *u.Workload
		w.Grants = slices.Clone(w.Grants)
		for i := range w.Grants {
			w.Grants[i].Matches = []ir.Match{ir.MatchAll(w.Grants[i].Ref)}
		}
		u.Workload = &w
	}
	return b.Backend.Translate(u, t)
}

func swapped(routes []ir.Route) []ir.Route {
	routes = slices.Clone(routes)
	for i, r := range routes {
		backends := slices.Clone(r.Backends)
		for j := range backends {
			backends[j].Weight = r.Backends[len(r.Backends)-1-j].Weight
		}
		routes[i].Backends = backends
	}
	return routes
}

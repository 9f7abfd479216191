package ask

import (
	"slices"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// classes lists representative requests that a unit of the two sides is asked:
// a Service or a host with the conditions of its routes and of the workloads
// behind them, a workload with those of its grants. Each side adds its own.
func classes(k ir.Key, sides []Side) []semantics.Request {
	var out []semantics.Request
	seen := map[string]bool{}
	for _, s := range sides {
		for _, q := range s.classes(k) {
			if text := q.String(); !seen[text] {
				seen[text] = true
				out = append(out, q)
			}
		}
	}
	return out
}

func (s Side) classes(k ir.Key) []semantics.Request {
	u, ok := s.units[k]
	switch {
	case !ok:
		return nil
	case u.Workload != nil:
		return semantics.AdmitClasses(*u.Workload)
	case u.Service == nil && u.VirtualHost == nil:
		return nil
	}
	local := append([]ir.Unit{u}, s.behind(u)...)
	return slices.DeleteFunc(semantics.Classes(local), func(q semantics.Request) bool { return q.Workload != (ir.Name{}) })
}

// behind lists the workloads that answer for the backends of a unit.
func (s Side) behind(u ir.Unit) []ir.Unit {
	var routes []ir.Route
	switch {
	case u.VirtualHost != nil:
		routes = u.VirtualHost.Routes
	case u.Service != nil:
		for _, p := range u.Service.Ports {
			routes = append(routes, p.AllRoutes()...)
		}
	}
	var out []ir.Unit
	seen := map[ir.Key]bool{}
	for _, r := range routes {
		for _, b := range r.Backends {
			for _, id := range b.Servers {
				k := ir.Key{Kind: ir.KindWorkload, Namespace: id.Namespace, Name: id.Account}
				if w, ok := s.units[k]; ok && !seen[k] {
					seen[k] = true
					out = append(out, w)
				}
			}
		}
	}
	return out
}

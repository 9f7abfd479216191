package verify

import (
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// checker asks one mesh about units.
type checker struct {
	world interpret.World
	mesh  interpret.Mesh
	// gateways are the units of Gateways, which virtual hosts are asked with.
	gateways map[ir.Name]ir.Unit
	// closed are the namespaces that deny by default.
	closed []ir.Unit
}

func newChecker(w interpret.World, m interpret.Mesh, pieces []translators.Piece) checker {
	c := checker{world: w, mesh: m, gateways: map[ir.Name]ir.Unit{}}
	for _, p := range pieces {
		if g := p.Unit.Gateway; g != nil {
			c.gateways[ir.Name{Namespace: g.Namespace, Name: g.Name}] = p.Unit
		}
		if p.Unit.Namespace != nil {
			c.closed = append(c.closed, p.Unit)
		}
	}
	return c
}

func (c checker) unit(p translators.Piece) Result {
	switch u := p.Unit; {
	case u.Service != nil, u.VirtualHost != nil:
		return c.routes(p)
	case u.Workload != nil:
		return c.admits(p)
	}
	return Result{}
}

// routes asks where the calls to a Service, or to a host of a Gateway, are sent.
func (c checker) routes(p translators.Piece) Result {
	units := []ir.Unit{p.Unit}
	if v := p.Unit.VirtualHost; v != nil {
		units = append(units, c.gateways[v.Gateway])
	}
	model := semantics.New(units)
	var out Result
	for _, q := range semantics.RouteClasses(p.Unit) {
		out.Asked++
		want, got := model.Decide(q), c.mesh.Route(q)
		for _, d := range semantics.Differences(q, want, got.Decision, Rounding) {
			out.Differences = append(out.Differences, Difference{p.Unit.Key(), q, d, explained(p, q, d), got.By, want.Because})
		}
	}
	return out
}

// admits asks whom the pods of an account let in, class by class of pods.
func (c checker) admits(p translators.Piece) Result {
	w := *p.Unit.Workload
	model := semantics.New(append(slices.Clone(c.closed), p.Unit))
	name := ir.Name{Namespace: w.Namespace, Name: w.Account}
	pods := []map[string]string{nil}
	if len(w.Pods) > 0 {
		pods = nil
		for _, class := range w.Pods {
			pods = append(pods, class.Labels)
		}
	}
	var out Result
	for _, q := range semantics.AdmitClasses(w) {
		calls := []ir.ServicePort{{}}
		for _, port := range w.Ports {
			if port.Number == q.Port {
				calls = append(calls, port.Services...)
			}
		}
		for _, called := range calls {
			want, because := model.Admits(name, q.Port, called, q)
			for _, labels := range pods {
				out.Asked++
				got := c.mesh.Admit(interpret.Arrival{Request: q, Workload: name, Pod: labels, Port: q.Port, Called: called})
				for _, d := range semantics.Differences(q, decision(want), decision(got.Allowed), Rounding) {
					q := reached(q, called)
					out.Differences = append(out.Differences, Difference{p.Unit.Key(), q, d, explained(p, q, d), got.By, because})
				}
			}
		}
	}
	return out
}

// reached is a request as it was made: to a Service where one led there.
func reached(q semantics.Request, called ir.ServicePort) semantics.Request {
	if called != (ir.ServicePort{}) {
		q.Workload, q.Service, q.Port = ir.Name{}, called.Service, called.Port
	}
	return q
}

func decision(allowed bool) semantics.Decision {
	if allowed {
		return semantics.Decision{Verdict: semantics.Allow}
	}
	return semantics.Decision{Verdict: semantics.Deny}
}

// explained returns what a table says of a difference: some row that the unit
// made use of shows this effect on such requests.
func explained(p translators.Piece, q semantics.Request, d semantics.Difference) *feature.Shown {
	for _, c := range p.Claims {
		for i := range c.Row.Shows {
			if s := &c.Row.Shows[i]; s.Effect == d.Effect && Has(q, s.On) {
				return s
			}
		}
	}
	return nil
}

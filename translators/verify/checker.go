package verify

import (
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// checker asks one mesh about units.
type checker struct {
	world interpret.World
	mesh  interpret.Mesh
	// gateways are the models of Gateways, each with all of its virtual hosts: the
	// host that one of them just is not may be another one's.
	gateways map[ir.Name]semantics.Model
	// servers is the model of all workloads and of the namespaces that deny by
	// default: what the model asks for whom pods let in.
	servers semantics.Model
	explainer
}

func newChecker(w interpret.World, m interpret.Mesh, out translators.Output, pieces []translators.Piece) checker {
	c := checker{world: w, mesh: m, gateways: map[ir.Name]semantics.Model{}, explainer: newExplainer(pieces, out.Artifacts)}
	gateways := map[ir.Name][]ir.Unit{}
	var servers []ir.Unit
	for _, p := range pieces {
		switch u := p.Unit; {
		case u.Gateway != nil:
			name := ir.Name{Namespace: u.Gateway.Namespace, Name: u.Gateway.Name}
			gateways[name] = append(gateways[name], u)
		case u.VirtualHost != nil:
			gateways[u.VirtualHost.Gateway] = append(gateways[u.VirtualHost.Gateway], u)
		case u.Namespace != nil, u.Workload != nil:
			servers = append(servers, u)
		}
	}
	c.servers = semantics.New(servers)
	for name, units := range gateways {
		c.gateways[name] = semantics.New(units)
	}
	return c
}

func (c checker) unit(p translators.Piece) Result {
	switch u := p.Unit; {
	case u.Service != nil, u.VirtualHost != nil:
		out := c.routes(p)
		for _, at := range c.unmanned(u) {
			c.unknown(p, at, &out)
		}
		return out
	case u.Workload != nil:
		return c.admits(p)
	}
	return Result{}
}

// routes asks where the calls to a Service, or to a host of a Gateway, are sent.
func (c checker) routes(p translators.Piece) Result {
	model := semantics.Model{}
	if v := p.Unit.VirtualHost; v != nil {
		model = c.gateways[v.Gateway]
	} else {
		model = semantics.New([]ir.Unit{p.Unit})
	}
	var out Result
	for _, q := range semantics.RouteClasses(p.Unit) {
		out.Asked++
		want, got := model.Decide(q), c.mesh.Route(q)
		for _, d := range semantics.Differences(q, want, got.Decision, Rounding) {
			out.Differences = append(out.Differences, c.explained(p, Difference{p.Unit.Key(), q, d, nil, got.By, want.Because}))
		}
	}
	return out
}

// unmanned lists the ports of a Service, and of those that it sends calls to and
// that no unit is about, behind which no account is known: no workload is asked.
func (c checker) unmanned(u ir.Unit) []ir.ServicePort {
	if u.Service == nil {
		return nil
	}
	var out []ir.ServicePort
	for _, p := range u.Service.Ports {
		out = append(out, unmanned(p)...)
	}
	return slices.DeleteFunc(out, func(at ir.ServicePort) bool {
		_, given := c.world.Services[at.Service]
		own := at.Service == ir.Name{Namespace: u.Service.Namespace, Name: u.Service.Name}
		return len(c.world.Servers[at]) > 0 || given && !own
	})
}

// unknown asks whom the pods behind a port of a Service let in, of which nobody
// knows which accounts they run as: the namespace decides.
func (c checker) unknown(p translators.Piece, at ir.ServicePort, out *Result) {
	at.Port = max(at.Port, 1)
	pods := ir.Name{Namespace: at.Service.Namespace}
	port, known := c.world.Port(at)
	for _, from := range []*ir.Identity{nil, {Namespace: "meshknot-nowhere", Account: "nobody"}} {
		q := semantics.Request{From: from, Service: at.Service, Port: at.Port, Raw: known && !port.Protocol.IsHTTP()}
		if !q.Raw {
			q.Method, q.Path = "GET", "/"
		}
		out.Asked++
		want, _ := c.servers.Admits(pods, at.Port, at, q)
		got := c.mesh.Admit(interpret.Arrival{Request: q, Workload: pods, Port: at.Port, Called: at})
		if want != got.Allowed {
			for _, d := range semantics.Differences(q, decision(want), decision(got.Allowed), Rounding) {
				out.Differences = append(out.Differences, c.explained(p, Difference{p.Unit.Key(), q, d, nil, got.By, []report.Ref{p.Unit.Service.Ref}}))
			}
		}
	}
}

// admits asks whom the pods of an account let in, class by class of pods.
func (c checker) admits(p translators.Piece) Result {
	w := *p.Unit.Workload
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
		for _, called := range calls(w, q.Port) {
			want, because := c.servers.Admits(name, q.Port, called, q)
			for _, labels := range pods {
				out.Asked++
				got := c.mesh.Admit(interpret.Arrival{Request: q, Workload: name, Pod: labels, Port: q.Port, Called: called})
				if want == got.Allowed {
					continue
				}
				for _, d := range semantics.Differences(q, decision(want), decision(got.Allowed), Rounding) {
					d := Difference{p.Unit.Key(), reached(q, called), d, nil, got.By, because}
					out.Differences = append(out.Differences, c.explained(p, d))
				}
			}
		}
	}
	return out
}

// calls are the ports of Services that lead to a port of the pods, and none: there
// they are called straight.
func calls(w ir.Workload, number int32) []ir.ServicePort {
	out := []ir.ServicePort{{}}
	for _, port := range w.Ports {
		if port.Number == number {
			out = append(out, port.Services...)
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

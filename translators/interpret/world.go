package interpret

import (
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// World is what exists in a mesh beside its configuration: Services, the pods
// behind them and the accounts that these run as. It holds facts and no policy,
// and is read only.
type World struct {
	// Services without their routes, by name.
	Services map[ir.Name]ir.Service
	// Workloads without their grants, by account. Enforced is not set.
	Workloads map[ir.Name]ir.Workload
	// Gateways by name.
	Gateways map[ir.Name]ir.Gateway
	// Servers are the accounts behind the ports of Services, where known.
	Servers map[ir.ServicePort][]ir.Identity
	// Namespaces in which something exists, sorted.
	Namespaces []string
	// Strict: every workload is meant to deny what nothing grants, so a mesh that
	// has to be told so at large was told; it is how the mesh is installed.
	Strict bool
}

// WorldOf takes the facts out of units, and leaves the policy.
func WorldOf(units []ir.Unit) World {
	w := World{Services: map[ir.Name]ir.Service{}, Workloads: map[ir.Name]ir.Workload{},
		Gateways: map[ir.Name]ir.Gateway{}, Servers: map[ir.ServicePort][]ir.Identity{}}
	for _, u := range units {
		switch {
		case u.Mesh != nil:
			w.Strict = u.Mesh.Access == ir.AccessStrict
		case u.Service != nil:
			w.service(*u.Service)
		case u.Workload != nil:
			w.workload(*u.Workload)
		case u.Gateway != nil:
			w.Gateways[ir.Name{Namespace: u.Gateway.Namespace, Name: u.Gateway.Name}] = *u.Gateway
			w.Namespaces = append(w.Namespaces, u.Gateway.Namespace)
		}
	}
	slices.Sort(w.Namespaces)
	w.Namespaces = slices.Compact(w.Namespaces)
	return w
}

func (w *World) service(s ir.Service) {
	name := ir.Name{Namespace: s.Namespace, Name: s.Name}
	s.Ports = slices.Clone(s.Ports)
	for i := range s.Ports {
		p := &s.Ports[i]
		w.learn(ir.ServicePort{Service: name, Port: p.Number}, p.Servers)
		for _, r := range p.AllRoutes() { // a backend says who answers for it
			for _, b := range r.Backends {
				w.learn(ir.ServicePort{Service: b.Service, Port: b.Port}, b.Servers)
			}
		}
		p.Routes, p.Views = nil, nil
	}
	w.Services[name] = s
	w.Namespaces = append(w.Namespaces, s.Namespace)
}

func (w *World) workload(l ir.Workload) {
	name := ir.Name{Namespace: l.Namespace, Name: l.Account}
	for _, p := range l.Ports {
		for _, s := range p.Services {
			w.learn(s, []ir.Identity{{Namespace: l.Namespace, Account: l.Account}})
		}
	}
	for _, g := range l.Grants { // who is granted anything is somebody
		for _, s := range g.Sources {
			w.Namespaces = append(w.Namespaces, s.Identity.Namespace)
		}
	}
	l.Grants, l.Because, l.Enforced, l.NamespaceDenies = nil, nil, false, false
	w.Workloads[name] = l
	w.Namespaces = append(w.Namespaces, l.Namespace)
}

func (w *World) learn(p ir.ServicePort, servers []ir.Identity) {
	all := slices.Concat(w.Servers[p], servers)
	slices.SortFunc(all, ir.Identity.Compare)
	w.Servers[p] = slices.Compact(all)
}

// Port returns a port of a Service; one that is inferred has every port.
func (w World) Port(p ir.ServicePort) (ir.Port, bool) {
	for _, port := range w.Services[p.Service].Ports {
		if port.Number == p.Port || port.Number == ir.AnyPort {
			return port, true
		}
	}
	return ir.Port{}, false
}

// TargetPort maps a port of a Service to the port on a workload's pods.
func (w World) TargetPort(workload ir.Name, p ir.ServicePort) int32 {
	for _, wp := range w.Workloads[workload].Ports {
		if slices.Contains(wp.Services, p) {
			return wp.Number
		}
	}
	return p.Port
}

// Protocol is what is spoken on a port of a workload's pods. Where no Service is
// known to lead to the workload it may be HTTP; what nothing names is TCP.
func (w World) Protocol(workload ir.Name, port int32) ir.Protocol {
	l := w.Workloads[workload]
	for _, p := range l.Ports {
		if p.Number == port {
			return p.Protocol
		}
	}
	if len(l.Ports) == 0 {
		return ir.HTTP
	}
	return ir.TCP
}

// identity is who a Gateway's proxies are.
func (w World) identity(q semantics.Request) *ir.Identity {
	id := w.Gateways[q.Gateway].Identity
	return &id
}

// admitShare decides a share at the workloads behind its backend.
func (w World) admitShare(m Mesh, s *semantics.Share, q semantics.Request) []translators.ID {
	if s.Invalid != "" || !s.Allowed {
		return nil
	}
	called := ir.ServicePort{Service: s.Service, Port: s.Port}
	servers := w.Servers[called]
	if len(servers) == 0 {
		servers = w.Servers[ir.ServicePort{Service: s.Service, Port: ir.AnyPort}]
	}
	if len(servers) == 0 { // nobody is known: a pod of no known account
		a := m.Admit(Arrival{Request: edited(q, s), Workload: ir.Name{Namespace: s.Service.Namespace}, Port: s.Port, Called: called})
		s.Allowed = a.Allowed
		return a.By
	}
	denied, some := 0, false
	var by []translators.ID
	for _, id := range servers {
		name := ir.Name{Namespace: id.Namespace, Name: id.Account}
		all, any, b := w.admit(m, name, w.TargetPort(name, called), called, edited(q, s))
		by = append(by, b...)
		if !all {
			denied++
		}
		some = some || any
	}
	s.Allowed, s.Partly = denied == 0, denied > 0 && some
	return by
}

// admit asks every class of pods of a workload: all, or any of them, let it in.
func (w World) admit(m Mesh, workload ir.Name, port int32, called ir.ServicePort, q semantics.Request) (all, some bool, by []translators.ID) {
	pods := []map[string]string{nil}
	if classes := w.Workloads[workload].Pods; len(classes) > 0 {
		pods = nil
		for _, c := range classes {
			pods = append(pods, c.Labels)
		}
	}
	all = true
	for _, labels := range pods {
		a := m.Admit(Arrival{Request: q, Workload: workload, Pod: labels, Port: port, Called: called})
		all, some = all && a.Allowed, some || a.Allowed
		by = append(by, a.By...)
	}
	return all, some, by
}

// edited is a request as one share's backend gets it.
func edited(q semantics.Request, s *semantics.Share) semantics.Request {
	q.Headers = semantics.Edited(q.Headers, s.Request)
	return q
}

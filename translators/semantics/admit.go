package semantics

import (
	"slices"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// targetPort maps a Service port to the port on a workload's pods.
func (m Model) targetPort(workload ir.Name, p ir.ServicePort) int32 {
	if w := m.workloads[workload]; w != nil {
		for _, wp := range w.Ports {
			if slices.Contains(wp.Services, p) {
				return wp.Number
			}
		}
	}
	return p.Port
}

// Admits decides at the server alone: whether a workload lets a request in that
// has arrived at a port of its pods. Called is the port of the Service that led
// there; zero where the pods were called straight. The places that decide come
// with the answer.
func (m Model) Admits(workload ir.Name, port int32, called ir.ServicePort, q Request) (bool, []report.Ref) {
	return m.admits(workload, port, called, q)
}

// admits decides at the server: who may call an account's pods at a port, to
// which the called port of a Service led unless it is zero.
func (m Model) admits(workload ir.Name, port int32, called ir.ServicePort, q Request) (bool, []report.Ref) {
	w := m.workloads[workload]
	if w == nil {
		closed, because := m.closed(workload.Namespace)
		return !closed, because
	}
	if !w.Enforced {
		return true, nil
	}
	for _, p := range w.Probes {
		if q.From == nil && probes(p, port, q) {
			return true, []report.Ref{p.Ref}
		}
	}
	http := protocolAt(w, port).IsHTTP() && !q.Raw
	for _, g := range w.Grants {
		if because, ok := grants(g, port, called, http, q); ok {
			return true, because
		}
	}
	if len(w.Because) > 0 {
		return false, w.Because
	}
	return false, []report.Ref{w.Ref}
}

func protocolAt(w *ir.Workload, port int32) ir.Protocol {
	for _, p := range w.Ports {
		if p.Number == port {
			return p.Protocol
		}
	}
	if len(w.Ports) == 0 { // no Service is known: a grant for any HTTP port may speak of it
		return ir.HTTP
	}
	return ir.TCP
}

// probes reports whether a call is the kubelet's probe. A TCP probe only
// connects; it makes no call that could be allowed.
func probes(p ir.Probe, port int32, q Request) bool {
	if p.Port != port || q.Raw {
		return false
	}
	path := NormalisePath(q.Path)
	switch p.Protocol {
	case ir.HTTP:
		return q.Method == "GET" && path == NormalisePath(p.Path)
	case ir.GRPC:
		return q.Method == "POST" && path == "/grpc.health.v1.Health/Check"
	}
	return false
}

// trustDomain stands for the mesh's own: an account and the SPIFFE identity
// that names it are one caller.
const trustDomain = "cluster.local"

// sameCaller compares accounts by their names, as long as neither is named by
// its SPIFFE identity.
func sameCaller(a, b ir.Identity) bool {
	if a.SPIFFE == "" && b.SPIFFE == "" {
		return a == b
	}
	return a.URI(trustDomain) == b.URI(trustDomain)
}

func grants(g ir.Grant, port int32, called ir.ServicePort, http bool, q Request) ([]report.Ref, bool) {
	if q.From == nil {
		return nil, false
	}
	s := slices.IndexFunc(g.Sources, func(s ir.Source) bool {
		return sameCaller(s.Identity, *q.From)
	})
	p := slices.IndexFunc(g.Ports, func(p ir.GrantPort) bool {
		if slices.Contains(p.Also, called) {
			return false // another Service port that leads to the same port on the pod
		}
		return p.Number == port || p.Number == ir.AnyPort && http
	})
	if s < 0 || p < 0 {
		return nil, false
	}
	m := slices.IndexFunc(g.Matches, func(m ir.Match) bool {
		return m.IsAll() || http && Fulfils(q, m)
	})
	if m < 0 {
		return nil, false
	}
	return []report.Ref{g.Ref, g.Sources[s].Ref, g.Ports[p].Ref, g.Matches[m].Ref}, true
}

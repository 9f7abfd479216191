package consul

import (
	"slices"

	"github.com/meshknot/meshknot/translators/ir"
)

// callers returns the services that a source is in Consul: those that select its
// pods or, where none is known, one of its account's name. An identity of
// another trust domain is none.
func (m mesh) callers(s ir.Source) []string {
	if s.Identity.SPIFFE != "" || s.Identity.Account == "" {
		return nil
	}
	var out []string
	for _, n := range s.Services {
		out = append(out, m.name(n))
	}
	if len(out) == 0 {
		out = []string{m.name(ir.Name{Namespace: s.Identity.Namespace, Name: s.Identity.Account})}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// server is a Consul service behind which a workload stands, with the ports of
// the Service that lead to it. Consul knows of one port, whichever it is.
type server struct {
	name  string
	ports []port
}

// port is a port on the pods to which a port of a Service leads. Where no
// Service is known, it is ir.AnyPort.
type port struct {
	number   int32
	service  ir.ServicePort
	protocol ir.Protocol
}

// servers lists what a workload is in Consul, by name. UDP does not pass its proxies.
func (m mesh) servers(w ir.Workload) []server {
	var out []server
	for _, p := range w.Ports {
		if p.Protocol == ir.UDP {
			continue
		}
		for _, s := range p.Services {
			name := m.name(s.Service)
			i := slices.IndexFunc(out, func(s server) bool { return s.name == name })
			if i < 0 {
				i, out = len(out), append(out, server{name: name})
			}
			out[i].ports = append(out[i].ports, port{p.Number, s, p.Protocol})
		}
	}
	if len(out) == 0 && len(w.Ports) == 0 {
		name := m.name(ir.Name{Namespace: w.Namespace, Name: w.Account})
		out = []server{{name, []port{{number: ir.AnyPort, protocol: ir.HTTP}}}}
	}
	slices.SortFunc(out, func(a, b server) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return out
}

// opens reports whether a grant's port is p. Where Services are not known, only
// a grant for every port can be: which one Consul leads to is not known either.
func (p port) opens(g ir.GrantPort) bool {
	if g.Number == ir.AnyPort {
		return p.protocol.IsHTTP()
	}
	return g.Number == p.number && !slices.Contains(g.Also, p.service)
}

// protocolOf says in Consul's words what the ports of a service speak: what all
// of them do, and else what holds for any.
func protocolOf(all []ir.Protocol) string {
	out := ""
	for _, p := range all {
		said, ok := protocols[p]
		if !ok || out != "" && out != said {
			return "tcp"
		}
		out = said
	}
	return out
}

var protocols = map[ir.Protocol]string{ir.HTTP: "http", ir.HTTP2: "http2", ir.GRPC: "grpc", ir.TCP: "tcp"}

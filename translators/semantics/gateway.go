package semantics

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// listening is a port of a Gateway.
type listening struct {
	gateway ir.Name
	port    int32
}

// listen adds a virtual host. Of two of one name on a port the first counts.
func (m Model) listen(v *ir.VirtualHost) {
	at := listening{v.Gateway, v.Port}
	if m.hosts[at] == nil {
		m.hosts[at] = map[string]*ir.VirtualHost{}
	}
	if m.hosts[at][v.Host] == nil {
		m.hosts[at][v.Host] = v
	}
}

// decideGateway decides a call from outside: the gateway calls on as itself.
func (m Model) decideGateway(q Request) Decision {
	g := m.gateways[q.Gateway]
	if g == nil || !slices.ContainsFunc(g.Ports, func(p ir.GatewayPort) bool { return p.Number == q.Port }) {
		return Decision{Verdict: UnknownPort}
	}
	v := hostFor(m.hosts[listening{q.Gateway, q.Port}], hostOf(q))
	if v == nil {
		return Decision{Verdict: Answer, Status: 404, Route: "unmatched", Because: []report.Ref{g.Ref}}
	}
	q.From = &v.Identity
	return m.route(v.Routes, !q.Raw, q, v.Ref)
}

// hostOf returns the host that is asked for, without its port, in lower case.
func hostOf(q Request) string {
	if h := q.Headers["host"]; len(h) > 0 {
		host, _, _ := strings.Cut(strings.ToLower(h[0]), ":")
		return host
	}
	return ""
}

// hostFor returns the most specific virtual host for a host name, or nil: its own, or
// the one with the longest suffix, which is not the whole name.
func hostFor(all map[string]*ir.VirtualHost, host string) *ir.VirtualHost {
	if v := all[host]; v != nil {
		return v
	}
	for i := 1; i < len(host); i++ {
		if v := all["*"+host[i:]]; v != nil {
			return v
		}
	}
	return all["*"]
}

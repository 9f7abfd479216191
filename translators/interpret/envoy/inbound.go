package envoy

import (
	"slices"
	"strconv"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/xds"
	"github.com/meshknot/meshknot/translators/ir"
)

// Admit implements interpret.Mesh. A caller with an identity speaks TLS and
// proves it, as its own proxy does; one without speaks plainly.
func (m *mesh) Admit(a interpret.Arrival) interpret.Admission {
	proxy := ir.Identity{Namespace: a.Workload.Namespace, Account: a.Workload.Name}
	if a.Workload.Name == "" { // nobody says that there is a proxy
		return interpret.Admission{Allowed: !m.world.Strict}
	}
	if m.world.Protocol(a.Workload, a.Port) == ir.UDP {
		return interpret.Admission{Allowed: true}
	}
	at, process := "0.0.0.0:"+inboundPort, "127.0.0.1:"+strconv.Itoa(int(a.Port))
	if m.options.places("inbound.") {
		var ok bool
		if at, process, ok = m.options.inbound(a.Workload, a.Port); !ok {
			return interpret.Admission{} // the process itself cannot be reached
		}
	}
	l, ok := m.listenerAt(at, proxy)
	if !ok || !l.Value.bound { // where packets are redirected to, nobody listens
		return interpret.Admission{}
	}
	out := interpret.Admission{By: []translators.ID{l.ID}}
	c := arrived{port: uint32(a.Port), tls: a.Request.From != nil, alpn: m.spoken(a)}
	if !l.Value.restores && !m.options.places("inbound.") {
		c.port = 0 // where it was redirected to, not where it wanted to
	}
	if chain := l.Value.chainFor(c); chain != nil {
		out.Allowed = m.enters(a, chain, process, proxy)
	}
	return out
}

// http is what a caller offers that speaks it.
var http = []string{"h2", "http/1.1"}

// spoken is the protocol that a caller's handshake offers: where no HTTP is
// spoken, what the proxies of the mesh say to each other.
func (m *mesh) spoken(a interpret.Arrival) []string {
	if !a.Request.Raw && m.world.Protocol(a.Workload, a.Port).IsHTTP() {
		return http
	}
	if said, ok := m.said[a.Called]; ok {
		return said
	}
	return m.alpn
}

// enters reports whether a connection, and the request on it, gets through a
// filter chain to the process.
func (m *mesh) enters(a interpret.Arrival, c *chain, process string, proxy ir.Identity) bool {
	encrypted := a.Request.From != nil
	if c.tls != nil && !encrypted || c.tls == nil && encrypted && (c.http != nil || a.Called != (ir.ServicePort{})) {
		return false // neither understands what the other says
	}
	who := xds.Arrival{Connection: true, Port: uint32(a.Port)}
	if c.tls != nil {
		who.Principal, who.Certified = a.Request.From.URI(m.trustDomain), c.tls.Verifies
		if !c.tls.Accepts(who.Principal) {
			return false
		}
	}
	if !lets(c.rules, who) {
		return false
	}
	if c.http == nil {
		return m.reach(c.tcp, process, proxy)
	}
	path, query, asked, ok := c.http.target(a.Request.Path)
	if a.Request.Raw || !ok || !slices.Contains(methods, a.Request.Method) {
		return false
	}
	target := path
	if asked {
		target += "?" + query
	}
	who.Connection, who.Call = false, xds.Call{Path: path, Query: query, Lines: lineReader(a.Request, target)}
	if !lets(c.http.Rules, who) {
		return false
	}
	for _, r := range c.http.routes.of(sent(a.Request, "").Host) {
		if r.Holds(who.Call) && a.Request.Method != "CONNECT" {
			return c.http.end(r) == 0 && m.reach(r.shares, process, proxy)
		}
	}
	return false
}

// reach reports whether every share leads to the process.
func (m *mesh) reach(shares []share, process string, proxy ir.Identity) bool {
	return len(shares) > 0 && !slices.ContainsFunc(shares, func(s share) bool {
		c, ok := m.clusters.For(s.cluster, proxy)
		return !ok || !c.Value.onward && !slices.Contains(c.Value.addresses, process)
	})
}

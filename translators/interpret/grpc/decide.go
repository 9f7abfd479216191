package grpc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/xds"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Route implements interpret.Mesh. What speaks no HTTP is called without a word
// of xDS, and nothing routes it.
func (m *mesh) Route(q semantics.Request) interpret.Routed {
	port, open := m.world.Port(ir.ServicePort{Service: q.Service, Port: q.Port})
	_, known := m.world.Services[q.Service]
	switch {
	case q.Gateway != (ir.Name{}), known && !open:
		return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.UnknownPort}}
	case !known || q.Raw:
		return straight(q)
	}
	proxy := ir.Identity{}
	if q.From != nil {
		proxy = *q.From
	}
	authority := q.Service.Name + "." + q.Service.Namespace
	if port.Number != ir.AnyPort {
		authority += fmt.Sprintf(":%d", port.Number)
	}
	c, ok := m.clients.For(authority, proxy)
	if !ok {
		return straight(q)
	}
	by, all := []translators.ID{c.ID}, c.Value.routes
	if c.Value.rds != "" {
		named, ok := m.routes.For(c.Value.rds, proxy)
		if !ok {
			return interpret.Routed{Decision: status(503), By: by}
		}
		by, all = append(by, named.ID), named.Value
	}
	return m.take(q, proxy, c.Value.manager, all.of(authority), by)
}

// straight is a call that nothing is done to.
func straight(q semantics.Request) interpret.Routed {
	return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.Allow, Sent: sent(q),
		Shares: []semantics.Share{{Service: q.Service, Port: q.Port, Percent: 100, Allowed: true}}}}
}

func sent(q semantics.Request) semantics.Sent {
	out := semantics.Sent{Path: q.Path, Headers: q.Headers}
	if h := q.Headers["host"]; len(h) > 0 {
		out.Host = h[0]
	}
	return out
}

func status(code int) semantics.Decision {
	return semantics.Decision{Verdict: semantics.Answer, Status: code}
}

// take decides a call by the first route that holds. Clients change nothing of it.
func (m *mesh) take(q semantics.Request, proxy ir.Identity, h manager, all []route, by []translators.ID) interpret.Routed {
	path, query, _ := strings.Cut(q.Path, "?")
	call := xds.Call{Path: path, Query: query, Lines: metadata(q)}
	i := slices.IndexFunc(all, func(r route) bool { return r.Holds(call) })
	if i < 0 || all[i].unsupported || all[i].serves {
		return interpret.Routed{Decision: status(503), By: by}
	}
	var total float64
	for _, s := range all[i].shares {
		total += float64(s.weight)
	}
	d := semantics.Decision{Verdict: semantics.Allow, Sent: sent(q)}
	for _, s := range all[i].shares {
		to, id := m.destination(q, proxy, s.cluster)
		by = append(by, id...)
		if s.abort != 0 && h.Faults {
			to = semantics.Share{Allowed: true, Invalid: "a fault answers", Status: s.abort}
		}
		to.Percent = 100 * float64(s.weight) / total
		d.Shares = append(d.Shares, to)
	}
	if code := faulty(d.Shares); code != 0 {
		return interpret.Routed{Decision: status(code), By: by}
	}
	slices.SortStableFunc(d.Shares, func(a, b semantics.Share) int { return a.Service.Compare(b.Service) })
	d.Timeout.Request = h.timeout
	if t := all[i].timeout; t != nil {
		d.Timeout.Request = max(*t, time.Duration(0))
	}
	return interpret.Routed{Decision: d, By: by}
}

// faulty is the status that every call hears, whichever share it falls to: the client
// answers by itself then. It is zero where some call is sent on, or hears another.
func faulty(shares []semantics.Share) int {
	if len(shares) == 0 || slices.ContainsFunc(shares, func(s semantics.Share) bool { return s.Invalid == "" || s.Status != shares[0].Status }) {
		return 0
	}
	return shares[0].Status
}

// metadata finds the values of a header as clients compare them: the lines joined
// by commas, nothing of HTTP's own, and nothing of headers that are binary.
func metadata(q semantics.Request) func(string) []string {
	return func(name string) []string {
		if name == "content-type" {
			return []string{"application/grpc"}
		}
		if strings.HasPrefix(name, ":") || name == "host" || strings.HasSuffix(name, "-bin") {
			return nil
		}
		return joined(q.Headers[name])
	}
}

func joined(lines []string) []string {
	if len(lines) < 2 {
		return lines
	}
	return []string{strings.Join(lines, ",")}
}

// destination is who is behind a cluster.
func (m *mesh) destination(q semantics.Request, proxy ir.Identity, name string) (semantics.Share, []translators.ID) {
	none := semantics.Share{Allowed: true, Invalid: "nobody is behind cluster " + name, Status: 503}
	c, ok := m.clusters.For(name, proxy)
	switch {
	case !ok:
		return none, nil
	case c.Value.fails != "":
		none.Invalid = c.Value.fails
		return none, []translators.ID{c.ID}
	case c.Value.to.Service == (ir.Name{}):
		return none, []translators.ID{c.ID}
	}
	return semantics.Share{Service: c.Value.to.Service, Port: cmp.Or(c.Value.to.Port, q.Port), Allowed: true}, []translators.ID{c.ID}
}

// Admit implements interpret.Mesh. A port on which HTTP is known to be spoken is a
// server of gRPC, which asks for its Listener, and does not serve without one; so is
// whatever answers calls, where nobody knows which account it runs as. What else
// there is hears nothing of xDS, and lets in everybody.
func (m *mesh) Admit(a interpret.Arrival) interpret.Admission {
	at := m.hostPort(a.Workload, a.Port)
	s, ok := m.servers.For("grpc/server/"+a.Workload.Namespace+"/"+a.Workload.Name+"/"+at,
		ir.Identity{Namespace: a.Workload.Namespace, Account: a.Workload.Name})
	switch {
	case a.Request.Raw:
		return interpret.Admission{Allowed: true}
	case !ok:
		return interpret.Admission{Allowed: !m.serves(a.Workload, a.Port)}
	case s.Value.address != at:
		return interpret.Admission{}
	}
	return interpret.Admission{Allowed: m.lets(a, s.Value), By: []translators.ID{s.ID}}
}

// serves reports whether a workload is known to speak HTTP on a port, or is not
// known at all.
func (m *mesh) serves(w ir.Name, port int32) bool {
	if _, known := m.world.Workloads[w]; !known {
		return true
	}
	return slices.ContainsFunc(m.world.Workloads[w].Ports, func(p ir.WorkloadPort) bool {
		return p.Number == port && p.Protocol.IsHTTP()
	})
}

// lets reports whether a server lets a call in. A caller with an identity speaks
// TLS and proves it; one without speaks plainly.
func (m *mesh) lets(a interpret.Arrival, s server) bool {
	q := a.Request
	if (s.tls != nil) != (q.From != nil) {
		return false // neither understands what the other says
	}
	path, query, _ := strings.Cut(q.Path, "?")
	who := xds.Arrival{Port: uint32(a.Port), Call: xds.Call{Path: path, Query: query, Lines: incoming(q)}}
	if s.tls != nil {
		who.Principal, who.Certified = q.From.URI(m.trustDomain), s.demands && s.tls.Verifies
		if s.demands && !s.tls.Accepts(who.Principal) {
			return false
		}
	}
	if slices.ContainsFunc(s.Rules, func(r xds.Rule) bool { return !r(who) }) {
		return false
	}
	all := s.routes.of(strings.Join(q.Headers["host"], ""))
	i := slices.IndexFunc(all, func(r route) bool { return r.Holds(who.Call) })
	return i >= 0 && all[i].serves
}

// incoming finds the values of a header as a server's rules compare them.
func incoming(q semantics.Request) func(string) []string {
	return func(name string) []string {
		switch {
		case name == ":method":
			return []string{q.Method}
		case name == ":path":
			return []string{q.Path}
		case name == ":authority" || name == "host":
			return q.Headers["host"]
		case strings.HasSuffix(name, "-bin") || name == "te":
			return nil
		}
		return joined(q.Headers[name])
	}
}

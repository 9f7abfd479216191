package consul

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/sidecar"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Route implements interpret.Mesh. No entry here makes a gateway listen. All ports
// of a Service are one in Consul, and whoever calls takes the same chain; the host
// that is asked for does not count.
func (m *mesh) Route(q semantics.Request) interpret.Routed {
	if q.Gateway != (ir.Name{}) {
		return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.UnknownPort}}
	}
	_, known := m.world.Services[q.Service]
	port, ok := m.world.Port(ir.ServicePort{Service: q.Service, Port: q.Port})
	if known && !ok {
		return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.UnknownPort}}
	}
	name := m.name(q.Service)
	c := m.chains[name]
	switch http := m.seesRequests(name); {
	case c == nil || port.Protocol == ir.UDP: // which passes no proxy
		return interpret.Routed{Decision: straight(q)}
	case http && q.Raw: // what is no HTTP is closed by what expects it
		return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.Answer, Status: 400}, By: c.by(name, m)}
	case !http:
		d := semantics.Decision{Verdict: semantics.Allow, Route: "default", Sent: sent(q.Path, q.Headers)}
		m.share(&d, &c.hops[len(c.hops)-1], q)
		return interpret.Routed{Decision: d, By: c.by(name, m)}
	}
	a := &asked{Request: q}
	a.path, a.query = sidecar.Reading{}.Path(q.Path)
	// The last hop holds for everything that begins with a slash, as all that is asked does.
	i := max(slices.IndexFunc(c.hops, func(h compiled) bool { return h.holds(a) }), 0)
	return interpret.Routed{Decision: m.take(&c.hops[i], a), By: c.by(name, m)}
}

// by names the entries that decide; what a service speaks does too.
func (c *chain) by(name string, m *mesh) []translators.ID {
	return slices.Concat(c.ids, m.entries.ids["service-defaults "+name])
}

func straight(q semantics.Request) semantics.Decision {
	return semantics.Decision{
		Verdict: semantics.Allow, Route: "default", Sent: sent(q.Path, q.Headers),
		Shares: []semantics.Share{{Service: q.Service, Port: q.Port, Percent: 100, Allowed: true}},
	}
}

func sent(path string, headers map[string][]string) semantics.Sent {
	out := semantics.Sent{Path: path, Headers: headers}
	if h := headers[sidecar.Host]; len(h) > 0 {
		out.Host = h[0]
	}
	return out
}

// arriving is a path as the receiver's proxy passes it on: where it brings paths
// into form it escapes what no URI can hold.
func (m *mesh) arriving(path string) string {
	if !m.reading.Normal {
		return path
	}
	return strings.NewReplacer("{", "%7B", "}", "%7D").Replace(path)
}

// take is what a hop does with a request. The edits of a share are done before
// those of the route.
func (m *mesh) take(h *compiled, q *asked) semantics.Decision {
	path := q.path
	if h.rewrite != "" {
		path = sidecar.Replaced(path, h.replaced(path), h.rewrite)
	}
	d := semantics.Decision{Verdict: semantics.Allow, Route: h.name, Timeout: ir.Timeout{Request: h.timeout}}
	headers := q.Headers
	own := slices.ContainsFunc(h.targets, func(t target) bool { return inOrder(t.request...) != nil || inOrder(t.response...) != nil })
	if !own {
		headers = semantics.Edited(headers, inOrder(h.request))
	}
	d.Sent = sent(m.arriving(path)+q.query, headers)
	if !own {
		d.Sent.Response = inOrder(h.response)
	}
	m.share(&d, h, q.Request)
	for i := range d.Shares {
		if own && d.Shares[i].Invalid == "" {
			t := h.targets[slices.IndexFunc(h.targets, func(t target) bool { return t.service == m.name(d.Shares[i].Service) })]
			d.Shares[i].Request = inOrder(append(slices.Clone(t.request), h.request)...)
			d.Shares[i].Response = inOrder(append(slices.Clone(t.response), h.response)...)
		}
	}
	return d
}

// share divides calls as the proxy is told, in which cut-off weights are missing
// from all shares alike. Where Consul knows several Services by one name it finds
// the pods of all; how many each has is not known, so they share alike.
func (m *mesh) share(d *semantics.Decision, h *compiled, q semantics.Request) {
	var total float64
	for _, t := range h.targets {
		total += t.percent
	}
	for _, t := range h.targets {
		percent := 100 * t.percent / total
		if percent == 0 {
			continue
		}
		if t.missing != "" {
			d.Shares = append(d.Shares, semantics.Share{Percent: percent, Invalid: t.missing, Status: 503, Allowed: true})
			continue
		}
		for _, s := range m.known[t.service] {
			d.Shares = append(d.Shares, semantics.Share{Service: s, Port: m.port(s, q), Percent: percent / float64(len(m.known[t.service])), Allowed: true})
		}
	}
	slices.SortStableFunc(d.Shares, func(a, b semantics.Share) int {
		return cmp.Or(a.Service.Compare(b.Service), cmp.Compare(a.Port, b.Port))
	})
}

// port is the one port that a Service has in Consul. Where it has several, which
// one that is is not known, and it is taken to be the one that was called.
func (m *mesh) port(s ir.Name, q semantics.Request) int32 {
	ports := m.world.Services[s].Ports
	if slices.ContainsFunc(ports, func(p ir.Port) bool { return p.Number == q.Port || p.Number == ir.AnyPort }) || len(ports) == 0 {
		return q.Port
	}
	return ports[0].Number
}

package istio

import (
	"maps"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/sidecar"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Route implements interpret.Mesh. No object here makes a gateway listen.
func (m *mesh) Route(q semantics.Request) interpret.Routed {
	if q.Gateway != (ir.Name{}) {
		return routed(semantics.Decision{Verdict: semantics.UnknownPort})
	}
	_, known := m.world.Services[q.Service]
	port, ok := m.world.Port(ir.ServicePort{Service: q.Service, Port: q.Port})
	if known && !ok {
		return routed(semantics.Decision{Verdict: semantics.UnknownPort})
	}
	c := m.caller(q)
	if port.Protocol.IsHTTP() {
		return m.routeHTTP(q, c)
	}
	// UDP passes no proxy, and TLS is told apart by the name that is asked for.
	if v := m.hosts[q.Service]; port.Protocol == ir.TCP && !port.TLS && v != nil && v.visible(c.namespace) {
		for _, r := range v.tcp {
			if slices.ContainsFunc(r.matches, func(one *match) bool { return one.sees(c) }) {
				return routed(m.connect(r, q.Port), v.id)
			}
		}
	}
	return routed(m.straight(q.Service, q))
}

func routed(d semantics.Decision, by ...translators.ID) interpret.Routed {
	return interpret.Routed{Decision: d, By: by}
}

func (m *mesh) caller(q semantics.Request) caller {
	c := caller{port: q.Port}
	if q.From != nil {
		c.namespace = q.From.Namespace
		for _, p := range m.world.Workloads[ir.Name{Namespace: q.From.Namespace, Name: q.From.Account}].Pods {
			c.pods = append(c.pods, p.Labels)
		}
	}
	return c
}

// straight is a call to a Service that no route concerns.
func (m *mesh) straight(s ir.Name, q semantics.Request) semantics.Decision {
	path, query := sidecar.Split(q.Path)
	if !q.Raw {
		path, query = reading.Path(q.Path)
	}
	return semantics.Decision{
		Verdict: semantics.Allow, Route: "default",
		Shares: []semantics.Share{{Service: s, Port: q.Port, Percent: 100, Allowed: true}},
		Sent:   sent(path+query, q.Headers),
	}
}

func sent(path string, headers map[string][]string) semantics.Sent {
	out := semantics.Sent{Path: path, Headers: headers}
	if h := headers[sidecar.Host]; len(h) > 0 {
		out.Host = h[0]
	}
	return out
}

// routeHTTP finds the Service by the host that is asked for, as all Services of
// a port are behind one listener; no route is taken for a host that is none of them.
func (m *mesh) routeHTTP(q semantics.Request, c caller) interpret.Routed {
	if q.Raw { // what is no HTTP is closed by what expects it
		return routed(semantics.Decision{Verdict: semantics.Answer, Status: 400})
	}
	service, ok := m.addressed(q, c.namespace)
	if !ok {
		return routed(m.straight(q.Service, q))
	}
	v := m.hosts[service]
	if v == nil || !v.visible(c.namespace) {
		return routed(m.straight(service, q))
	}
	a := &asked{Request: q, joined: m.joined}
	a.path, a.query = reading.Path(q.Path)
	concerned := false
	for _, r := range v.http {
		for _, one := range r.matches {
			if !one.sees(c) {
				continue
			}
			if concerned = true; one.holds(a) {
				return routed(m.take(r, one, a), v.id)
			}
		}
	}
	if !concerned { // istiod writes no routes of it for this proxy
		return routed(m.straight(service, q))
	}
	return routed(semantics.Decision{Verdict: semantics.Answer, Status: 404, Route: "unmatched"}, v.id)
}

// take is what a route does with a request that met one of its matches.
func (m *mesh) take(r *route, one *match, q *asked) semantics.Decision {
	d := semantics.Decision{Verdict: semantics.Allow, Route: r.name, Timeout: r.timeout}
	if r.respond != nil {
		a := r.respond(q, one)
		return semantics.Decision{Verdict: semantics.Answer, Route: r.name, Status: a.status, Location: a.location}
	}
	path, headers := q.path, q.Headers
	switch {
	case r.rewrite.replace != nil:
		path = r.rewrite.replace(path)
	case r.rewrite.path != "":
		path = sidecar.Replaced(path, one.replaced(path), r.rewrite.path)
	}
	for _, host := range []string{r.rewrite.host, r.headers.host} {
		if host != "" {
			headers = maps.Clone(headers)
			if headers == nil {
				headers = map[string][]string{}
			}
			headers[sidecar.Host] = []string{host}
		}
	}
	m.share(&d, r, q.Port)
	if !slices.ContainsFunc(r.destinations, func(d destination) bool { return !d.headers.request.empty() || !d.headers.response.empty() }) {
		headers = semantics.Edited(headers, inOrder(false, r.headers.request))
		d.Sent = sent(path+q.query, headers)
		d.Sent.Response = inOrder(false, r.headers.response)
	} else {
		d.Sent = sent(path+q.query, headers)
	}
	for _, c := range r.mirrors {
		// What is aborted comes to no router, and is not copied.
		if s := m.shareOf(c.target, q.Port, c.percent*(100-r.abort)/100); s.Invalid == "" && s.Percent > 0 {
			d.Mirrors = append(d.Mirrors, s)
		}
	}
	slices.SortStableFunc(d.Mirrors, func(a, b semantics.Share) int { return a.Service.Compare(b.Service) })
	return d
}

// share divides requests. A fault is drawn apart from the weights, so that what it
// leaves is shared as before. A destination's own edits are done before those of
// the route, or with them where there is one destination alone.
func (m *mesh) share(d *semantics.Decision, r *route, port int32) {
	if r.abort > 0 {
		d.Shares = append(d.Shares, semantics.Share{Percent: r.abort, Invalid: "fault", Status: r.status, Allowed: true})
	}
	var total int64
	for _, to := range r.destinations {
		total += to.weight
	}
	for _, to := range r.destinations {
		percent := (100 - r.abort) * float64(to.weight) / float64(total)
		if percent == 0 {
			continue
		}
		s := m.shareOf(to.target, port, percent)
		if own := to.headers; !own.request.empty() || !own.response.empty() {
			if len(r.destinations) == 1 {
				s.Request, s.Response = inOrder(true, r.headers.request, own.request), inOrder(true, r.headers.response, own.response)
			} else {
				s.Request, s.Response = inOrder(false, own.request, r.headers.request), inOrder(false, own.response, r.headers.response)
			}
		} else {
			s.Request, s.Response = inOrder(false, r.headers.request), inOrder(false, r.headers.response)
		}
		d.Shares = append(d.Shares, s)
	}
	if !slices.ContainsFunc(r.destinations, func(d destination) bool { return !d.headers.request.empty() || !d.headers.response.empty() }) {
		for i := range d.Shares { // the route does it for all
			d.Shares[i].Request, d.Shares[i].Response = nil, nil
		}
	}
	slices.SortStableFunc(d.Shares, func(a, b semantics.Share) int { return a.Service.Compare(b.Service) })
}

// shareOf is a share for a destination: it fails where that is no Service of the
// cluster, has no such port, or is a subset that no DestinationRule knows.
func (m *mesh) shareOf(t target, called int32, percent float64) semantics.Share {
	s := semantics.Share{Service: t.service, Port: t.port, Percent: percent, Allowed: true}
	known, ok := m.world.Services[t.service]
	if s.Port == 0 {
		s.Port = called
		if ok && len(known.Ports) == 1 && known.Ports[0].Number != ir.AnyPort {
			s.Port = known.Ports[0].Number
		}
	}
	_, hasPort := m.world.Port(ir.ServicePort{Service: t.service, Port: s.Port})
	switch {
	case !t.known:
		s.Service, s.Port, s.Invalid = ir.Name{}, 0, "no Service of the cluster"
	case ok && !hasPort:
		s.Invalid = "the Service has no such port"
	case t.subset != "" && !m.subsets[subset{t.service, t.subset}]:
		s.Invalid = "no DestinationRule knows the subset"
	}
	if s.Invalid != "" {
		s.Status = 503
	}
	return s
}

// connect is where a connection goes.
func (m *mesh) connect(r *route, port int32) semantics.Decision {
	d := semantics.Decision{Verdict: semantics.Allow, Route: "tcp"}
	m.share(&d, r, port)
	return d
}

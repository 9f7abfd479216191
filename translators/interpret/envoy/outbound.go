package envoy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/sidecar"
	"github.com/meshknot/meshknot/translators/interpret/xds"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// asked is a request on its way through one proxy.
type asked struct {
	semantics.Request
	proxy ir.Identity
	by    []translators.ID
}

// Route implements interpret.Mesh.
func (m *mesh) Route(q semantics.Request) interpret.Routed {
	a := &asked{Request: q}
	if q.Gateway != (ir.Name{}) {
		return m.fromOutside(a)
	}
	if q.From != nil {
		a.proxy = *q.From
	}
	service, known := m.world.Services[q.Service]
	port, open := m.world.Port(ir.ServicePort{Service: q.Service, Port: q.Port})
	switch {
	case known && !open:
		return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.UnknownPort}}
	case !known || port.Protocol == ir.UDP: // no proxy sees it
		return m.straight(a)
	}
	if address, ok := m.options.listen(q.Service, q.Port, a.proxy); ok {
		l, ok := m.listenerAt(address, a.proxy)
		if !ok || !l.Value.bound {
			return m.straight(a)
		}
		return m.through(a, l, arrived{port: uint32(q.Port)})
	}
	if len(service.Addresses) > 0 {
		return m.redirected(a, service.Addresses[0])
	}
	return m.uncaught(a, service, port)
}

// redirected is a call to an address that arrives at the virtual listener.
func (m *mesh) redirected(a *asked, address string) interpret.Routed {
	l, ok := m.listenerAt("0.0.0.0:"+outboundPort, a.proxy)
	if !ok || !l.Value.bound || m.options.places("listen.") { // nothing is redirected
		return m.straight(a)
	}
	if l.Value.handsOver {
		for _, host := range []string{address, "0.0.0.0"} {
			if own, ok := m.listenerAt(fmt.Sprintf("%s:%d", host, a.Port), a.proxy); ok {
				l = own
				break
			}
		}
	}
	return m.through(a, l, arrived{port: uint32(a.Port)})
}

// uncaught is a call to a Service of which the world knows no address, so that
// nobody can say at which listener it arrives; the translator says so too. HTTP is
// decided by the routes of the port's name, as whoever catches the call would.
func (m *mesh) uncaught(a *asked, s ir.Service, p ir.Port) interpret.Routed {
	name := s.Name + "." + s.Namespace
	if p.Number != ir.AnyPort {
		name += fmt.Sprintf(":%d", p.Number)
	}
	if _, ok := m.routes.For(name, a.proxy); !ok || s.Headless || !p.Protocol.IsHTTP() {
		return m.straight(a)
	}
	return m.handle(a, &manager{rds: name, Filters: xds.Filters{Faults: true},
		reading: reading{normalise: true, merge: true, escaped: hcmv3.HttpConnectionManager_KEEP_UNCHANGED}})
}

// fromOutside is a call to the proxies of a Gateway.
func (m *mesh) fromOutside(a *asked) interpret.Routed {
	g := m.world.Gateways[a.Gateway]
	a.proxy = ir.Identity{Namespace: cmp.Or(g.Identity.Namespace, a.Gateway.Namespace), Account: cmp.Or(g.Identity.Account, a.Gateway.Name)}
	l, ok := m.listenerAt(m.options.gateway(a.Gateway, a.Port), a.proxy)
	if !ok || !l.Value.bound || !slices.ContainsFunc(g.Ports, func(p ir.GatewayPort) bool { return p.Number == a.Port }) {
		return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.UnknownPort}}
	}
	return m.through(a, l, arrived{port: uint32(a.Port)})
}

// straight is a call that nothing is done to.
func (m *mesh) straight(a *asked) interpret.Routed {
	d := semantics.Decision{Verdict: semantics.Allow, Sent: sent(a.Request, a.Path),
		Shares: []semantics.Share{{Service: a.Service, Port: a.Port, Percent: 100, Allowed: true}}}
	return interpret.Routed{Decision: d, By: a.by}
}

func sent(q semantics.Request, target string) semantics.Sent {
	out := semantics.Sent{Path: target, Headers: q.Headers}
	if h := q.Headers["host"]; len(h) > 0 {
		out.Host = h[0]
	}
	return out
}

func (m *mesh) through(a *asked, l xds.Entry[*listener], c arrived) interpret.Routed {
	a.by = append(a.by, l.ID)
	chain := l.Value.chainFor(c)
	if chain == nil || !lets(chain.rules, xds.Arrival{Connection: true, Port: c.port}) {
		return m.answer(a, semantics.Decision{Verdict: semantics.Deny})
	}
	if chain.http != nil {
		return m.handle(a, chain.http)
	}
	d := semantics.Decision{Verdict: semantics.Allow, Sent: sent(a.Request, a.Path), Shares: m.shares(a, route{shares: chain.tcp}, false)}
	return m.answer(a, d)
}

func lets(rules []xds.Rule, a xds.Arrival) bool {
	return !slices.ContainsFunc(rules, func(r xds.Rule) bool { return !r(a) })
}

func (m *mesh) answer(a *asked, d semantics.Decision) interpret.Routed {
	return interpret.Routed{Decision: d, By: a.by}
}

func status(code int) semantics.Decision {
	return semantics.Decision{Verdict: semantics.Answer, Status: code}
}

// handle decides a request by the routes of a connection manager.
func (m *mesh) handle(a *asked, h *manager) interpret.Routed {
	path, query, asked, ok := h.target(a.Path)
	if a.Raw || !ok || !slices.Contains(methods, a.Method) {
		return m.answer(a, status(400))
	}
	all := h.routes
	if h.rds != "" {
		named, ok := m.routes.For(h.rds, a.proxy)
		if !ok {
			return m.answer(a, status(404))
		}
		a.by = append(a.by, named.ID)
		all = named.Value
	}
	target := path
	if asked {
		target += "?" + query
	}
	call := xds.Call{Path: path, Query: query, Lines: lineReader(a.Request, target)}
	host := sent(a.Request, "").Host
	for _, r := range all.of(host) {
		if r.Holds(call) && a.Method != "CONNECT" {
			matched, _ := r.Matched(path)
			return m.take(a, h, r, taken{host, path, query, asked, matched})
		}
	}
	return m.answer(a, status(404))
}

// methods are those that Envoy's parser of HTTP/1.1 knows and people use.
var methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// lineReader finds the lines of a header, by the names of HTTP/2.
func lineReader(q semantics.Request, target string) func(string) []string {
	return func(name string) []string {
		switch name {
		case ":authority", "host":
			return q.Headers["host"]
		case ":path":
			return []string{target}
		case ":method":
			return []string{q.Method}
		case ":scheme":
			return []string{"http"}
		}
		return joined(name, q.Headers[name])
	}
}

// Inline reports whether lines of a header, by its name in lower case, are joined
// as they arrive.
func Inline(name string) bool { return sidecar.Inline(name) }

func joined(name string, lines []string) []string {
	if len(lines) < 2 || !Inline(name) {
		return lines
	}
	return []string{strings.Join(lines, ",")}
}

// taken is what of a request a route has taken.
type taken struct {
	host, path, query string
	asked             bool // there is a query
	matched           string
}

func (m *mesh) take(a *asked, h *manager, r route, t taken) interpret.Routed {
	switch {
	case r.redirect != nil:
		d := status(r.redirect.status)
		d.Location = r.redirect.location(t.host, t.path, t.query, t.asked, t.matched)
		return m.answer(a, d)
	case r.status != 0:
		return m.answer(a, status(r.status))
	}
	target := r.rewrite.apply(t.path, t.matched)
	if t.asked {
		target += "?" + t.query
	}
	d := semantics.Decision{Verdict: semantics.Allow, Sent: sent(a.Request, target), Shares: m.shares(a, r, h.Faults)}
	for _, c := range r.mirrors {
		if s, _ := m.destination(a, c.cluster); s.Invalid == "" && c.percent > 0 {
			s.Percent = c.percent
			d.Mirrors = append(d.Mirrors, s)
		}
	}
	slices.SortFunc(d.Mirrors, func(a, b semantics.Share) int { return a.Service.Compare(b.Service) })
	d.Timeout.Request = h.end(r)
	return m.answer(a, d)
}

// end is after which time a request is ended, or zero.
func (h *manager) end(r route) time.Duration {
	idle := h.streamEnd
	if r.idle != nil {
		idle = *r.idle
	}
	var out time.Duration
	for _, d := range append(slices.Clip(h.ends), r.timeout, idle) {
		if d > 0 && (out == 0 || d < out) {
			out = d
		}
	}
	return out
}

// shares lists who gets the calls of a route.
func (m *mesh) shares(a *asked, r route, faults bool) []semantics.Share {
	var total float64
	for _, s := range r.shares {
		total += float64(s.weight)
	}
	var out []semantics.Share
	for _, s := range r.shares {
		if s.weight == 0 {
			continue
		}
		to, by := m.destination(a, s.cluster)
		a.by = append(a.by, by...)
		if s.abort != 0 && faults {
			to = semantics.Share{Allowed: true, Invalid: "a fault answers", Status: s.abort}
		}
		to.Percent = 100 * float64(s.weight) / total
		to.Request = sum(slices.Concat(s.request, r.request), a.Headers)
		to.Response = sum(slices.Concat(s.response, r.response), nil)
		if host := cmp.Or(s.host, r.host); host != "" {
			if to.Request == nil {
				to.Request = &ir.HeaderEdit{}
			}
			to.Request.Set = append(to.Request.Set, ir.Header{Name: "host", Value: host})
		}
		out = append(out, to)
	}
	slices.SortStableFunc(out, func(a, b semantics.Share) int { return a.Service.Compare(b.Service) })
	return out
}

// destination is who is behind a cluster.
func (m *mesh) destination(a *asked, name string) (semantics.Share, []translators.ID) {
	none := semantics.Share{Allowed: true, Invalid: "nobody is behind cluster " + name, Status: 503}
	c, ok := m.clusters.For(name, a.proxy)
	switch {
	case !ok:
		return none, nil
	case c.Value.onward:
		return semantics.Share{Service: a.Service, Port: a.Port, Allowed: true}, []translators.ID{c.ID}
	case c.Value.fails != "":
		none.Invalid = c.Value.fails
		return none, []translators.ID{c.ID}
	case c.Value.to.Service == (ir.Name{}):
		return none, []translators.ID{c.ID}
	}
	return semantics.Share{Service: c.Value.to.Service, Port: cmp.Or(c.Value.to.Port, a.Port), Allowed: true}, []translators.ID{c.ID}
}

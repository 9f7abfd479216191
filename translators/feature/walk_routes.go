package feature

import (
	"slices"

	"github.com/meshknot/meshknot/translators/ir"
)

func walkService(s ir.Service, keep func(Use) bool) ir.Service {
	s.Ports = slices.Clone(s.Ports)
	for i, p := range s.Ports {
		w := routes{self: ir.Name{Namespace: s.Namespace, Name: s.Name}, said: said{base: clientConditions(s, p)}, keep: keep}
		s.Ports[i].Routes = w.walk(p.Routes)
		s.Ports[i].Views = nil
		for _, v := range p.Views {
			view := w
			view.said = said{base: append(slices.Clone(w.base), CondView)}
			if len(v.Routes) > 0 && keep(Use{RouteView, w.base, v.Routes[0].Ref}) {
				s.Ports[i].Views = append(s.Ports[i].Views, ir.View{Namespace: v.Namespace, Routes: view.walk(v.Routes)})
				w.looksAtPath = w.looksAtPath || view.looksAtPath
			}
		}
		implied := w.base
		if w.looksAtPath {
			implied = append(slices.Clone(implied), CondPathCondition)
		}
		if n := len(p.Routes); n == 0 || p.Routes[n-1].Status == 0 {
			keep(Use{Unmatched, implied, p.Ref})
		}
		for _, f := range []Feature{Retries, Timeouts, ProtocolSelection, UnreadyBackend} {
			keep(Use{f, implied, p.Ref})
		}
	}
	return s
}

func clientConditions(s ir.Service, p ir.Port) []Condition {
	c := protocolConditions(p.Protocol)
	if p.TLS {
		c = append(c, CondTLS)
	}
	if p.Number == ir.AnyPort {
		c = append(c, CondPortsUnknown)
	}
	if s.Headless {
		c = append(c, CondHeadless)
	}
	if len(s.Ports) > 1 {
		c = append(c, CondMultiPort)
	}
	return c
}

func walkVirtualHost(v ir.VirtualHost, keep func(Use) bool) ir.VirtualHost {
	var c []Condition
	if v.Host == "*" || len(v.Host) > 1 && v.Host[:2] == "*." {
		c = append(c, CondWildcard)
	}
	if !keep(Use{GatewayHost, c, v.Ref}) {
		v.Routes = nil
		return v
	}
	w := routes{self: v.Gateway, said: said{base: []Condition{CondPlainHTTP, CondGateway}}, keep: keep}
	v.Routes = w.walk(v.Routes)
	return v
}

// routes walks the routes of one port.
type routes struct {
	self ir.Name // INPUT: the Service that is called; nobody's with a Gateway
	said         // of every use
	keep func(Use) bool
	// looksAtPath: some match that was kept does. OUTPUT
	looksAtPath bool
}

func (w *routes) walk(all []ir.Route) []ir.Route {
	var out []ir.Route
	if len(all) > 0 {
		out = make([]ir.Route, 0, len(all))
	}
	for i := range all {
		if r, ok := w.route(all[i]); ok {
			out = append(out, r)
			w.looksAtPath = w.looksAtPath || slices.ContainsFunc(r.Matches, func(m ir.Match) bool { return m.Path.Kind != ir.MatchAny })
		}
	}
	return out
}

// route reports false when the route has to go: none of its matches, or not
// what becomes of them, can be said. What is merely done on the way (headers,
// rewriting, mirrors, timeouts) goes alone. A redirect that cannot be said leaves
// its place to a failure, for without it requests would go where the next route leads.
func (w *routes) route(r ir.Route) (ir.Route, bool) {
	ok := w.destinations(&r)
	if !ok && r.Redirect != nil {
		r.Redirect, r.Status = nil, 500
		ok = w.destinations(&r)
	}
	r.Matches = kept(r.Matches, func(m *ir.Match) bool { return walkMatch(m, &w.said, routeFeatures, w.keep) })
	w.onTheWay(&r)
	return r, ok && len(r.Matches) > 0
}

// kept returns what of a list is kept: the list itself where all is, and nil where
// nothing is.
func kept[T any](list []T, keep func(*T) bool) []T {
	var out []T
	all := true
	for i := range list {
		switch {
		case !keep(&list[i]):
			if all {
				out, all = append(out, list[:i]...), false
			}
		case !all:
			out = append(out, list[i])
		}
	}
	if all && len(list) > 0 {
		return list
	}
	return out
}

func (w *routes) destinations(r *ir.Route) bool {
	ok := true
	weight := uint64(0)
	others, foreign := false, false
	for i := range r.Backends {
		b := &r.Backends[i]
		weight += uint64(b.Weight)
		others = others || b.Service != w.self
		foreign = foreign || b.Service.Namespace != w.self.Namespace
	}
	switch {
	case r.Status != 0:
		var c []Condition
		if r.Status == 404 {
			c = append(c, CondStatus404)
		}
		return w.keep(Use{RouteStatus, w.with(c...), r.Ref})
	case r.Redirect != nil:
		return w.keep(Use{RouteRedirect, w.with(redirectConditions(*r.Redirect)...), r.Redirect.Ref})
	case weight == 0:
		return w.keep(Use{RouteStatus, w.with(CondWeightsZero), r.Ref})
	}
	if others {
		c := w.base
		if foreign {
			c = w.with(CondForeignNamespace)
		}
		ok = w.keep(Use{RouteBackend, c, r.Ref}) && ok
	}
	if len(r.Backends) > 1 {
		ok = w.keep(Use{RouteSplit, w.base, r.Ref}) && ok
	}
	for _, b := range r.Backends {
		if b.Invalid != "" {
			ok = w.keep(Use{RouteInvalidBackend, w.base, b.Ref}) && ok
		}
	}
	return ok
}

// onTheWay visits what is done with requests that are passed on, and takes out
// what is not kept.
func (w *routes) onTheWay(r *ir.Route) {
	if r.Rewrite != nil && !w.keep(Use{RouteRewrite, w.with(editConditions(r.Rewrite.Host, r.Rewrite.Path)...), r.Rewrite.Ref}) {
		r.Rewrite = nil
	}
	r.RequestHeaders = w.headers(r.RequestHeaders)
	r.ResponseHeaders = w.headers(r.ResponseHeaders, CondResponse)
	w.shares(r)
	many := len(r.Mirrors) > 1
	r.Mirrors = kept(r.Mirrors, func(m *ir.Mirror) bool {
		c := w.base
		if m.Numerator < m.Denominator {
			c = append(slices.Clone(c), CondFraction)
		}
		if many {
			c = append(slices.Clone(c), CondMany)
		}
		return w.keep(Use{RouteMirror, c, m.Ref})
	})
	r.Timeout = w.timeout(r.Timeout)
}

// shares visits what is done for one share alone. Backends are copied only where
// something is taken out.
func (w *routes) shares(r *ir.Route) {
	copied := false
	for i := range r.Backends {
		b := &r.Backends[i]
		if b.RequestHeaders == nil && b.ResponseHeaders == nil {
			continue
		}
		request, response := w.headers(b.RequestHeaders, CondPerBackend), w.headers(b.ResponseHeaders, CondPerBackend, CondResponse)
		if request == b.RequestHeaders && response == b.ResponseHeaders {
			continue
		}
		if !copied {
			r.Backends, copied = slices.Clone(r.Backends), true
		}
		r.Backends[i].RequestHeaders, r.Backends[i].ResponseHeaders = request, response
	}
}

func (w *routes) timeout(t *ir.Timeout) *ir.Timeout {
	if t == nil {
		return nil
	}
	out := *t
	if t.Request > 0 && !w.keep(Use{RouteTimeout, w.base, t.Ref}) {
		out.Request = 0
	}
	if t.Backend > 0 && !w.keep(Use{RouteTimeout, w.with(CondPerTry), t.Ref}) {
		out.Backend = 0
	}
	if out == *t {
		return t
	}
	return &out
}

func (w *routes) headers(e *ir.HeaderEdit, c ...Condition) *ir.HeaderEdit {
	if e == nil {
		return nil
	}
	names := slices.Clone(e.Remove)
	for _, h := range slices.Concat(e.Set, e.Add) {
		names = append(names, h.Name)
	}
	for _, n := range names {
		if named := nameCondition(n); named != "" && named != CondBinaryHeader && named != CondProxyHeader && !slices.Contains(c, named) {
			c = append(c, named)
		}
	}
	if !w.keep(Use{RouteHeaderEdit, w.with(c...), e.Ref}) {
		return nil
	}
	return e
}

func editConditions(host string, p *ir.PathEdit) []Condition {
	var c []Condition
	if host != "" {
		c = append(c, CondRewriteHost)
	}
	if p != nil && p.Prefix {
		c = append(c, CondRewritePrefix)
	} else if p != nil {
		c = append(c, CondRewritePath)
	}
	return c
}

func redirectConditions(r ir.Redirect) []Condition {
	c := editConditions(r.Host, r.Path)
	if r.Port != 0 || r.Scheme != "" {
		c = append(c, CondPortOrScheme)
	}
	return c
}

// matchFeatures are the features of the parts of a match. No API grants by
// query parameters, so no feature stands for that and it would be refused.
type matchFeatures struct{ path, method, header, query Feature }

var (
	routeFeatures  = matchFeatures{RoutePath, RouteMethod, RouteHeader, RouteQuery}
	accessFeatures = matchFeatures{AccessPath, AccessMethod, AccessHeader, ""}
)

func walkMatch(m *ir.Match, s *said, f matchFeatures, keep func(Use) bool) bool {
	ok := true
	if m.Path.Kind != ir.MatchAny {
		ok = keep(Use{f.path, s.compared(m.Path), m.PathRef}) && ok
	}
	if !m.AnyMethod() {
		ok = keep(Use{f.method, s.base, m.MethodsRef}) && ok
	}
	for _, h := range m.Headers {
		c := headerConditions(h)
		if named := func(o ir.HeaderMatch) bool { return o.Name == h.Name && o != h }; slices.ContainsFunc(m.Headers, named) {
			c = append(c, CondRepeatedName)
		}
		ok = keep(Use{f.header, s.with(c...), h.Ref}) && ok
	}
	for _, q := range m.Query {
		ok = keep(Use{f.query, s.compared(q.Value), q.Ref}) && ok
	}
	return ok
}

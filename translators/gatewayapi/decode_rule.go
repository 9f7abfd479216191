package gatewayapi

import (
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
)

func (d *decoder) httpRule(at string, r gatewayv1.HTTPRouteRule) {
	d.atMost(input.Field(at, "matches"), len(r.Matches), 64)
	for i, m := range r.Matches {
		d.httpMatch(input.Element(input.Field(at, "matches"), i), m)
	}
	in := filterable{prefixed: prefixed(r.Matches)}
	redirects := d.filters(input.Field(at, "filters"), r.Filters, in)
	refs := input.Field(at, "backendRefs")
	d.atMost(refs, len(r.BackendRefs), 16)
	if redirects && len(r.BackendRefs) > 0 {
		d.bad(refs, "a rule that redirects has no backendRefs")
	}
	for i, b := range r.BackendRefs {
		d.backendRef(input.Element(refs, i), b.BackendRef)
		d.filters(input.Field(input.Element(refs, i), "filters"), b.Filters, in)
	}
	if r.Timeouts != nil {
		d.timeouts(input.Field(at, "timeouts"), *r.Timeouts)
	}
	d.retry(input.Field(at, "retry"), r.Retry)
	d.session(input.Field(at, "sessionPersistence"), r.SessionPersistence)
}

func (d *decoder) grpcRule(at string, r gatewayv1.GRPCRouteRule) {
	d.atMost(input.Field(at, "matches"), len(r.Matches), 64)
	for i, m := range r.Matches {
		d.grpcMatch(input.Element(input.Field(at, "matches"), i), m)
	}
	d.filters(input.Field(at, "filters"), grpcFilters(r.Filters), filterable{grpc: true})
	refs := input.Field(at, "backendRefs")
	d.atMost(refs, len(r.BackendRefs), 16)
	for i, b := range r.BackendRefs {
		d.backendRef(input.Element(refs, i), b.BackendRef)
		d.filters(input.Field(input.Element(refs, i), "filters"), grpcFilters(b.Filters), filterable{grpc: true})
	}
	d.session(input.Field(at, "sessionPersistence"), r.SessionPersistence)
}

// prefixed reports whether a rule has one match only, by a prefix of the path:
// what a replacement of the prefix needs.
func prefixed(matches []gatewayv1.HTTPRouteMatch) bool {
	if len(matches) == 0 {
		return true
	}
	path := matches[0].Path
	return len(matches) == 1 && (path == nil || value(path.Type, gatewayv1.PathMatchPathPrefix) == gatewayv1.PathMatchPathPrefix)
}

func (d *decoder) httpMatch(at string, m gatewayv1.HTTPRouteMatch) {
	if m.Path != nil {
		d.path(input.Field(at, "path"), *m.Path)
	}
	headers, params := input.Field(at, "headers"), input.Field(at, "queryParams")
	d.atMost(headers, len(m.Headers), 16)
	var names []string
	for i, h := range m.Headers {
		field := input.Element(headers, i)
		oneOf(d, input.Field(field, "type"), h.Type, gatewayv1.HeaderMatchExact, gatewayv1.HeaderMatchRegularExpression)
		d.needs(headerForm, input.Field(field, "name"), string(h.Name))
		d.text(input.Field(field, "value"), h.Value, 4096)
		names = append(names, string(h.Name))
	}
	d.unique(names, func(i int) string { return input.Element(headers, i) }, "header")
	d.atMost(params, len(m.QueryParams), 16)
	names = nil
	for i, q := range m.QueryParams {
		field := input.Element(params, i)
		oneOf(d, input.Field(field, "type"), q.Type, gatewayv1.QueryParamMatchExact, gatewayv1.QueryParamMatchRegularExpression)
		d.needs(headerForm, input.Field(field, "name"), string(q.Name))
		d.text(input.Field(field, "value"), q.Value, 1024)
		names = append(names, string(q.Name))
	}
	d.unique(names, func(i int) string { return input.Element(params, i) }, "query parameter")
	oneOf(d, input.Field(at, "method"), m.Method, methods...)
}

var methods = []gatewayv1.HTTPMethod{
	gatewayv1.HTTPMethodGet, gatewayv1.HTTPMethodHead, gatewayv1.HTTPMethodPost, gatewayv1.HTTPMethodPut, gatewayv1.HTTPMethodDelete,
	gatewayv1.HTTPMethodConnect, gatewayv1.HTTPMethodOptions, gatewayv1.HTTPMethodTrace, gatewayv1.HTTPMethodPatch,
}

// text checks a value that must not be empty.
func (d *decoder) text(field, s string, limit int) {
	switch {
	case s == "":
		d.needs(nameForm, field, s)
	case len(s) > limit:
		d.bad(field, "longer than %d characters", limit)
	}
}

// path checks a condition on the path. What is no expression has to be written
// as paths are once they are normalised.
func (d *decoder) path(at string, p gatewayv1.HTTPPathMatch) {
	oneOf(d, input.Field(at, "type"), p.Type, gatewayv1.PathMatchExact, gatewayv1.PathMatchPathPrefix, gatewayv1.PathMatchRegularExpression)
	field, s := input.Field(at, "value"), value(p.Value, "/")
	if value(p.Type, gatewayv1.PathMatchPathPrefix) == gatewayv1.PathMatchRegularExpression {
		if len(s) > pathForm.max {
			d.bad(field, "longer than %d characters", pathForm.max)
		}
		return
	}
	if !strings.HasPrefix(s, "/") {
		d.bad(field, "%q does not start with a slash", s)
		return
	}
	for _, part := range []string{"//", "/./", "/../", "%2f", "%2F", "#"} {
		if strings.Contains(unescaped(s), part) {
			d.bad(field, "%q holds %q, which a normalised path does not", s, part)
			return
		}
	}
	if plain := unescaped(s); strings.HasSuffix(plain, "/.") || strings.HasSuffix(plain, "/..") {
		d.bad(field, "%q ends in a dot segment, which a normalised path does not", s)
		return
	}
	d.is(pathForm, field, s)
}

func (d *decoder) grpcMatch(at string, m gatewayv1.GRPCRouteMatch) {
	if w := m.Method; w != nil {
		field := input.Field(at, "method")
		oneOf(d, input.Field(field, "type"), w.Type, gatewayv1.GRPCMethodMatchExact, gatewayv1.GRPCMethodMatchRegularExpression)
		if w.Service == nil && w.Method == nil {
			d.bad(field, "a service, a method or both are needed")
		}
		if value(w.Type, gatewayv1.GRPCMethodMatchExact) == gatewayv1.GRPCMethodMatchExact {
			check(d, serviceForm, input.Field(field, "service"), w.Service)
			check(d, methodForm, input.Field(field, "method"), w.Method)
		}
	}
	headers := input.Field(at, "headers")
	d.atMost(headers, len(m.Headers), 16)
	var names []string
	for i, h := range m.Headers {
		field := input.Element(headers, i)
		oneOf(d, input.Field(field, "type"), h.Type, gatewayv1.GRPCHeaderMatchExact, gatewayv1.GRPCHeaderMatchRegularExpression)
		d.needs(headerForm, input.Field(field, "name"), string(h.Name))
		d.text(input.Field(field, "value"), h.Value, 4096)
		names = append(names, string(h.Name))
	}
	d.unique(names, func(i int) string { return input.Element(headers, i) }, "header")
}

func (d *decoder) timeouts(at string, t gatewayv1.HTTPRouteTimeouts) {
	check(d, durationForm, input.Field(at, "request"), t.Request)
	check(d, durationForm, input.Field(at, "backendRequest"), t.BackendRequest)
	if request := duration(t.Request); request != 0 && duration(t.BackendRequest) > request {
		d.bad(input.Field(at, "backendRequest"), "%s is longer than the whole request may take, %s", *t.BackendRequest, *t.Request)
	}
}

func (d *decoder) retry(at string, r *gatewayv1.HTTPRouteRetry) {
	if r == nil {
		return
	}
	for i, c := range r.Codes {
		d.between(input.Element(input.Field(at, "codes"), i), int(c), 400, 599)
	}
	if r.Attempts != nil && *r.Attempts < 1 {
		d.bad(input.Field(at, "attempts"), "%d attempts, of which there must be one or more", *r.Attempts)
	}
	check(d, durationForm, input.Field(at, "backoff"), r.Backoff)
	d.unspoken(true, at, "retries are not translated: a request that fails is not tried again")
}

func (d *decoder) session(at string, s *gatewayv1.SessionPersistence) {
	if s == nil {
		return
	}
	check(d, durationForm, input.Field(at, "absoluteTimeout"), s.AbsoluteTimeout)
	oneOf(d, input.Field(at, "type"), s.Type, gatewayv1.CookieBasedSessionPersistence, gatewayv1.HeaderBasedSessionPersistence)
	d.unspoken(true, at, "session persistence is not translated: requests of a session may go to different pods")
}

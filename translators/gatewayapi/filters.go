package gatewayapi

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// action lowers what a rule does with the requests that match; name and matches
// are left to the caller.
func (l *lowering) action(o input.Object, r rule) ir.Route {
	route := ir.Route{Ref: o.Ref(r.field)}
	good := true
	for i, f := range r.filters {
		good = l.filter(o, &route, f, input.Element(input.Field(r.field, "filters"), i)) && good
	}
	switch {
	case !good:
		return ir.Route{Ref: route.Ref, Status: 500}
	case route.Redirect != nil:
		l.unasked(o, r, "redirects and asks no backend", gatewayv1.HTTPRouteFilterRequestRedirect, gatewayv1.HTTPRouteFilterResponseHeaderModifier)
		return ir.Route{Ref: route.Ref, Redirect: route.Redirect, ResponseHeaders: route.ResponseHeaders}
	case len(r.backends) == 0:
		l.unasked(o, r, "has no backendRefs, so every request of it fails")
		return ir.Route{Ref: route.Ref, Status: 500}
	}
	for i, b := range r.backends {
		route.Backends = append(route.Backends, l.sharing(o, b, input.Element(input.Field(r.field, "backendRefs"), i)))
	}
	route.Timeout = timeout(o, r)
	return route
}

// unasked reports what has no effect since a rule asks no backend; those filters
// that have one all the same are named.
func (l *lowering) unasked(o input.Object, r rule, why string, holding ...gatewayv1.HTTPRouteFilterType) {
	for i, f := range r.filters {
		if !slices.Contains(holding, f.Type) {
			l.add(report.New(report.NoEffect, o.Ref(input.Element(input.Field(r.field, "filters"), i)),
				string(f.Type)+" has no effect, for the rule "+why))
		}
	}
	if r.timeouts != nil {
		l.add(report.New(report.NoEffect, o.Ref(input.Field(r.field, "timeouts")), "timeouts have no effect, for the rule "+why))
	}
}

// filter applies a filter of a rule. It reports false for one that is not
// understood: the rule's requests must fail then.
func (l *lowering) filter(o input.Object, route *ir.Route, f gatewayv1.HTTPRouteFilter, field string) bool {
	switch f.Type {
	case gatewayv1.HTTPRouteFilterRequestHeaderModifier:
		route.RequestHeaders = l.edit(o, f.RequestHeaderModifier, input.Field(field, "requestHeaderModifier"))
	case gatewayv1.HTTPRouteFilterResponseHeaderModifier:
		route.ResponseHeaders = l.edit(o, f.ResponseHeaderModifier, input.Field(field, "responseHeaderModifier"))
	case gatewayv1.HTTPRouteFilterRequestRedirect:
		route.Redirect = redirect(o, f.RequestRedirect, input.Field(field, "requestRedirect"))
	case gatewayv1.HTTPRouteFilterURLRewrite:
		route.Rewrite = rewrite(o, f.URLRewrite, input.Field(field, "urlRewrite"))
	case gatewayv1.HTTPRouteFilterRequestMirror:
		route.Mirrors = l.mirror(o, route.Mirrors, f.RequestMirror, input.Field(field, "requestMirror"))
	default:
		l.add(report.New(report.UnknownFilter, o.Ref(field), "filter "+string(f.Type)+" is not understood, so every request of the rule fails"))
		return false
	}
	return true
}

// sharing lowers a backend with the filters of its own.
func (l *lowering) sharing(o input.Object, w gatewayv1.HTTPBackendRef, field string) ir.Backend {
	b := l.backend(o, w.BackendRef, field)
	for i, f := range w.Filters {
		at := input.Element(input.Field(field, "filters"), i)
		switch f.Type {
		case gatewayv1.HTTPRouteFilterRequestHeaderModifier:
			b.RequestHeaders = l.edit(o, f.RequestHeaderModifier, input.Field(at, "requestHeaderModifier"))
		case gatewayv1.HTTPRouteFilterResponseHeaderModifier:
			b.ResponseHeaders = l.edit(o, f.ResponseHeaderModifier, input.Field(at, "responseHeaderModifier"))
		default:
			b.Invalid = "filter " + string(f.Type) + " is not understood for one backend"
			l.add(report.New(report.UnknownFilter, o.Ref(at), b.Invalid+", so its share of the requests fails"))
		}
	}
	return b
}

// edit lowers a change of headers to lists in which each name stands once:
// removing and adding a header is setting it.
func (l *lowering) edit(o input.Object, w *gatewayv1.HTTPHeaderFilter, field string) *ir.HeaderEdit {
	if w == nil {
		return nil
	}
	e := &ir.HeaderEdit{Ref: o.Ref(field)}
	removed, done := map[string]bool{}, map[string]string{}
	for i, name := range w.Remove {
		if !l.framing(o, name, input.Element(input.Field(field, "remove"), i)) {
			removed[strings.ToLower(name)] = true
		}
	}
	for i, h := range w.Set {
		if at := input.Element(input.Field(field, "set"), i); l.first(o, done, h, at) {
			e.Set = append(e.Set, header(h))
		}
	}
	for i, h := range w.Add {
		switch at := input.Element(input.Field(field, "add"), i); {
		case !l.first(o, done, h, at):
		case removed[header(h).Name]:
			e.Set = append(e.Set, header(h))
		default:
			e.Add = append(e.Add, header(h))
		}
	}
	for _, name := range w.Remove {
		if name = strings.ToLower(name); removed[name] && done[name] == "" && !slices.Contains(e.Remove, name) {
			e.Remove = append(e.Remove, name)
		}
	}
	return e
}

// framing reports a header that says where a message ends or what becomes of the
// connection. Each proxy has its own; an edit would let two of them see different
// requests in the same bytes, so it is not made.
func (l *lowering) framing(o input.Object, name, at string) bool {
	switch name = strings.ToLower(name); name {
	case "connection", "content-length", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		l.add(report.New(report.NoEffect, o.Ref(at), "header "+name+" belongs to the connection between two proxies, so it is not edited"))
		return true
	}
	return false
}

func header(h gatewayv1.HTTPHeader) ir.Header {
	return ir.Header{Name: strings.ToLower(string(h.Name)), Value: h.Value}
}

// first reports whether a header is set or added for the first time: names do
// not differ by letter case, and of several entries the first holds.
func (l *lowering) first(o input.Object, done map[string]string, h gatewayv1.HTTPHeader, at string) bool {
	name := header(h).Name
	if l.framing(o, name, at) {
		return false
	}
	if other := done[name]; other != "" {
		l.add(report.New(report.NoEffect, o.Ref(at), "header "+name+" is given already, of which the first holds").With(o.Ref(other)))
		return false
	}
	done[name] = at
	return true
}

func redirect(o input.Object, w *gatewayv1.HTTPRequestRedirectFilter, field string) *ir.Redirect {
	return &ir.Redirect{
		Scheme: value(w.Scheme, ""), Host: string(value(w.Hostname, "")), Port: value(w.Port, 0),
		Path: pathEdit(w.Path), Status: value(w.StatusCode, 302), Ref: o.Ref(field),
	}
}

func rewrite(o input.Object, w *gatewayv1.HTTPURLRewriteFilter, field string) *ir.Rewrite {
	if w.Hostname == nil && w.Path == nil {
		return nil
	}
	return &ir.Rewrite{Host: string(value(w.Hostname, "")), Path: pathEdit(w.Path), Ref: o.Ref(field)}
}

func pathEdit(w *gatewayv1.HTTPPathModifier) *ir.PathEdit {
	switch {
	case w == nil:
		return nil
	case w.Type == gatewayv1.PrefixMatchHTTPPathModifier && value(w.ReplacePrefixMatch, "") == "":
		return &ir.PathEdit{Prefix: true} // taken off
	case w.Type == gatewayv1.PrefixMatchHTTPPathModifier:
		return &ir.PathEdit{Prefix: true, Value: rooted(*w.ReplacePrefixMatch)}
	}
	return &ir.PathEdit{Value: rooted(value(w.ReplaceFullPath, ""))}
}

// rooted writes a path as it is asked for: what starts with no slash is none.
func rooted(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

// mirror adds a mirror. One that leads nowhere gets no copies and is reported.
func (l *lowering) mirror(o input.Object, all []ir.Mirror, w *gatewayv1.HTTPRequestMirrorFilter, field string) []ir.Mirror {
	m := ir.Mirror{Numerator: 100, Denominator: 100, Ref: o.Ref(field)}
	switch {
	case w.Fraction != nil:
		m.Numerator, m.Denominator = uint32(w.Fraction.Numerator), uint32(value(w.Fraction.Denominator, 100)) //nolint:gosec // decoding has checked both
	case w.Percent != nil:
		m.Numerator = uint32(*w.Percent) //nolint:gosec // decoding has checked it
	}
	copying := lowering{r: l.r, gateway: l.gateway}
	m.Backend = copying.backend(o, gatewayv1.BackendRef{BackendObjectReference: w.BackendRef}, input.Field(field, "backendRef"))
	for _, f := range copying.found {
		f.Message = fmt.Sprintf("%s, so it gets no copies", m.Backend.Invalid)
		l.add(f)
	}
	return append(all, m)
}

func timeout(o input.Object, r rule) *ir.Timeout {
	if r.timeouts == nil {
		return nil
	}
	t := &ir.Timeout{Ref: o.Ref(input.Field(r.field, "timeouts"))}
	t.Request, t.Backend = duration(r.timeouts.Request), duration(r.timeouts.BackendRequest)
	if t.Request == 0 && t.Backend == 0 { // switched off, as it is anyway
		return nil
	}
	return t
}

// duration reads a duration, whose form decoding has checked.
func duration(d *gatewayv1.Duration) time.Duration {
	out, err := time.ParseDuration(string(value(d, "0s")))
	if err != nil {
		return 0
	}
	return out
}

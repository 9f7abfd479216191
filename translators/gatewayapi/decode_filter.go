package gatewayapi

import (
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// payload is the field in which a type of filter says what it does.
type payload struct {
	kind  gatewayv1.HTTPRouteFilterType
	field string
	given bool
}

func payloads(f gatewayv1.HTTPRouteFilter) []payload {
	return []payload{
		{gatewayv1.HTTPRouteFilterRequestHeaderModifier, "requestHeaderModifier", f.RequestHeaderModifier != nil},
		{gatewayv1.HTTPRouteFilterResponseHeaderModifier, "responseHeaderModifier", f.ResponseHeaderModifier != nil},
		{gatewayv1.HTTPRouteFilterRequestRedirect, "requestRedirect", f.RequestRedirect != nil},
		{gatewayv1.HTTPRouteFilterURLRewrite, "urlRewrite", f.URLRewrite != nil},
		{gatewayv1.HTTPRouteFilterRequestMirror, "requestMirror", f.RequestMirror != nil},
		{gatewayv1.HTTPRouteFilterCORS, "cors", f.CORS != nil},
		{gatewayv1.HTTPRouteFilterExternalAuth, "externalAuth", f.ExternalAuth != nil},
		{gatewayv1.HTTPRouteFilterExtensionRef, "extensionRef", f.ExtensionRef != nil},
	}
}

// repeatable are the filters that may stand in a list several times.
var repeatable = map[gatewayv1.HTTPRouteFilterType]bool{
	gatewayv1.HTTPRouteFilterRequestMirror: true, gatewayv1.HTTPRouteFilterExtensionRef: true, gatewayv1.HTTPRouteFilterExternalAuth: true,
}

// grpcTypes are the filters that a GRPCRoute may have; an HTTPRoute may have all.
var grpcTypes = []gatewayv1.HTTPRouteFilterType{
	gatewayv1.HTTPRouteFilterRequestHeaderModifier, gatewayv1.HTTPRouteFilterResponseHeaderModifier,
	gatewayv1.HTTPRouteFilterRequestMirror, gatewayv1.HTTPRouteFilterExtensionRef,
}

// filterable is what filters may be in a rule.
type filterable struct {
	grpc bool
	// prefixed: the rule has one match by a prefix, which filters may replace.
	prefixed bool
}

// filters checks a list of filters and reports whether one redirects.
func (d *decoder) filters(at string, all []gatewayv1.HTTPRouteFilter, in filterable) (redirects bool) {
	d.atMost(at, len(all), 16)
	first := map[gatewayv1.HTTPRouteFilterType]int{}
	for i, f := range all {
		field := input.Element(at, i)
		if j, again := first[f.Type]; again && !repeatable[f.Type] {
			f := report.New(report.BadValue, d.Ref(field), fmt.Sprintf("filter %s is there already", f.Type))
			d.found = append(d.found, f.With(d.Ref(input.Element(at, j))))
		} else if !again {
			first[f.Type] = i
		}
		d.filter(field, f, in)
	}
	_, redirects = first[gatewayv1.HTTPRouteFilterRequestRedirect]
	if i, rewrites := first[gatewayv1.HTTPRouteFilterURLRewrite]; rewrites && redirects {
		d.bad(input.Element(at, i), "a rule that redirects cannot rewrite")
	}
	return redirects
}

func (d *decoder) filter(at string, f gatewayv1.HTTPRouteFilter, in filterable) {
	all := payloads(f)
	switch {
	case f.Type == "":
		d.say(report.MissingField, input.Field(at, "type"), "type is missing")
		return
	case in.grpc && !slices.Contains(grpcTypes, f.Type), !slices.ContainsFunc(all, func(p payload) bool { return p.kind == f.Type }):
		d.bad(input.Field(at, "type"), "there is no filter %q", f.Type)
		return
	}
	for _, p := range all {
		switch {
		case p.kind == f.Type && !p.given:
			d.say(report.MissingField, input.Field(at, p.field), p.field+" is missing, which says what the filter does")
		case p.kind != f.Type && p.given:
			d.bad(input.Field(at, p.field), "%s does not belong to a filter of type %s", p.field, f.Type)
		}
	}
	d.modifier(input.Field(at, "requestHeaderModifier"), f.RequestHeaderModifier)
	d.modifier(input.Field(at, "responseHeaderModifier"), f.ResponseHeaderModifier)
	if f.RequestMirror != nil {
		d.mirror(input.Field(at, "requestMirror"), *f.RequestMirror)
	}
	if f.RequestRedirect != nil {
		d.redirect(input.Field(at, "requestRedirect"), *f.RequestRedirect, in.prefixed)
	}
	if f.URLRewrite != nil {
		field := input.Field(at, "urlRewrite")
		check(d, preciseForm, input.Field(field, "hostname"), f.URLRewrite.Hostname)
		d.pathModifier(input.Field(field, "path"), f.URLRewrite.Path, in.prefixed)
	}
	if f.ExtensionRef != nil {
		field := input.Field(at, "extensionRef")
		d.is(groupForm, input.Field(field, "group"), string(f.ExtensionRef.Group))
		d.needs(kindForm, input.Field(field, "kind"), string(f.ExtensionRef.Kind))
		d.needs(nameForm, input.Field(field, "name"), string(f.ExtensionRef.Name))
	}
}

func (d *decoder) modifier(at string, m *gatewayv1.HTTPHeaderFilter) {
	if m == nil {
		return
	}
	for _, list := range []struct {
		name    string
		headers []gatewayv1.HTTPHeader
	}{{"set", m.Set}, {"add", m.Add}} {
		field := input.Field(at, list.name)
		d.atMost(field, len(list.headers), 16)
		var names []string
		for i, h := range list.headers {
			d.needs(headerForm, input.Field(input.Element(field, i), "name"), string(h.Name))
			value := input.Field(input.Element(field, i), "value")
			d.text(value, h.Value, 4096)
			d.printed(value, h.Value)
			names = append(names, string(h.Name))
		}
		d.unique(names, func(i int) string { return input.Element(field, i) }, "header")
	}
	field := input.Field(at, "remove")
	d.atMost(field, len(m.Remove), 16)
	d.unique(m.Remove, func(i int) string { return input.Element(field, i) }, "header")
	for i, name := range m.Remove { // the CRD lets any text pass, which no proxy does
		d.is(headerForm, input.Element(field, i), name)
	}
}

// printed checks that a text can stand on a line of a message. The CRD lets any
// pass; a proxy refuses it, and with it all routes of whoever shares the port.
func (d *decoder) printed(field, s string) {
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	if strings.ContainsFunc(s, control) {
		d.bad(field, "%q holds a control character, which no message may", s)
	}
}

func (d *decoder) mirror(at string, m gatewayv1.HTTPRequestMirrorFilter) {
	d.objectRef(input.Field(at, "backendRef"), m.BackendRef)
	if m.Percent != nil {
		d.between(input.Field(at, "percent"), int(*m.Percent), 0, 100)
	}
	if m.Fraction == nil {
		return
	}
	field := input.Field(at, "fraction")
	numerator, denominator := m.Fraction.Numerator, value(m.Fraction.Denominator, 100)
	switch {
	case m.Percent != nil:
		d.bad(field, "a percentage is given too; one of them is enough")
	case numerator < 0 || denominator < 1:
		d.bad(field, "%d of %d is no part", numerator, denominator)
	case numerator > denominator:
		d.bad(field, "%d of %d is more than the whole", numerator, denominator)
	}
}

func (d *decoder) redirect(at string, r gatewayv1.HTTPRequestRedirectFilter, prefixed bool) {
	oneOf(d, input.Field(at, "scheme"), r.Scheme, "http", "https")
	check(d, preciseForm, input.Field(at, "hostname"), r.Hostname)
	d.pathModifier(input.Field(at, "path"), r.Path, prefixed)
	d.port(input.Field(at, "port"), r.Port)
	switch code := value(r.StatusCode, 302); code {
	case 301, 302, 303, 307, 308:
	default:
		d.bad(input.Field(at, "statusCode"), "%d is none of 301, 302, 303, 307, 308", code)
	}
}

func (d *decoder) pathModifier(at string, m *gatewayv1.HTTPPathModifier, prefixed bool) {
	if m == nil {
		return
	}
	full, prefix := gatewayv1.FullPathHTTPPathModifier, gatewayv1.PrefixMatchHTTPPathModifier
	if m.Type == "" {
		d.say(report.MissingField, input.Field(at, "type"), "type is missing")
		return
	}
	oneOf(d, input.Field(at, "type"), &m.Type, full, prefix)
	for _, p := range []struct {
		kind  gatewayv1.HTTPPathModifierType
		field string
		value *string
	}{{full, "replaceFullPath", m.ReplaceFullPath}, {prefix, "replacePrefixMatch", m.ReplacePrefixMatch}} {
		switch field := input.Field(at, p.field); {
		case m.Type == p.kind && p.value == nil:
			d.say(report.MissingField, field, p.field+" is missing")
		case m.Type != p.kind && p.value != nil:
			d.bad(field, "%s does not belong to type %s", p.field, m.Type)
		case p.value != nil && len(*p.value) > 1024:
			d.bad(field, "longer than 1024 characters")
		case p.value != nil && strings.ContainsAny(*p.value, " ?#"):
			d.bad(field, "%q holds a character that ends a path; write %%20, %%3F or %%23", *p.value)
		case p.value != nil:
			d.printed(field, *p.value)
		}
	}
	if m.ReplacePrefixMatch != nil && !prefixed {
		d.bad(input.Field(at, "replacePrefixMatch"), "a prefix is replaced only where the rule has one match, of type PathPrefix")
	}
}

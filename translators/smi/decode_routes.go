package smi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// methods are what a match may list.
var methods = []string{"*", "GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

func routeGroup1(d *decoder, w wireRouteGroup1) *RouteGroup {
	matches := make([]wireMatch, len(w.Matches))
	for i, m := range w.Matches {
		matches[i] = wireMatch{Name: m.Name, PathRegex: m.PathRegex, Methods: m.Methods}
	}
	return d.routeGroup(matches, "matches")
}

func routeGroup2(d *decoder, w wireRouteGroup2) *RouteGroup {
	return d.routeGroup(w.Matches, "matches")
}

func routeGroup3(d *decoder, w wireRouteGroup3) *RouteGroup {
	return d.routeGroup(w.Spec.Matches, "spec.matches")
}

func (d *decoder) routeGroup(matches []wireMatch, list string) *RouteGroup {
	g := &RouteGroup{}
	if len(matches) == 0 {
		d.errorf(report.MissingField, list, "", "a group needs matches")
	}
	first := map[string]string{}
	for i, w := range matches {
		m := d.match(w, input.Element(list, i))
		name := input.Field(m.Field, "name")
		switch other, again := first[m.Name]; {
		case m.Name == "":
			d.errorf(report.DuplicateMatch, name, "name every match, for rules refer to it by name", "the match has no name")
		case again:
			d.errorf(report.DuplicateMatch, name, "", "%s is named %q too", other, m.Name)
		default:
			first[m.Name] = m.Field
		}
		g.Matches = append(g.Matches, m)
	}
	return g
}

func (d *decoder) match(w wireMatch, field string) HTTPMatch {
	m := HTTPMatch{Name: w.Name, PathRegex: w.PathRegex, Methods: w.Methods, Field: field}
	for i, method := range w.Methods {
		d.method(method, input.Element(input.Field(field, "methods"), i))
	}
	m.Headers = d.headers(w.Headers, input.Field(field, "headers"))
	seen := map[string]string{}
	for _, h := range m.Headers {
		if other, again := seen[h.Name]; again {
			f := report.New(report.DuplicateHeader, d.Ref(h.Field), "header "+h.Name+" has two conditions in one match, of which other implementations keep one")
			d.found = append(d.found, f.With(d.Ref(other)))
		}
		seen[h.Name] = h.Field
	}
	return m
}

func (d *decoder) method(method, field string) {
	upper := strings.ToUpper(method)
	switch {
	case slices.Contains(methods, method):
	case slices.Contains(methods, upper):
		d.errorf(report.BadMethod, field, "write "+upper, "method %q is not in upper case", method)
	default:
		d.errorf(report.BadMethod, field, "write one of "+strings.Join(methods, ", "), "there is no method %q", method)
	}
}

// headers reads the two shapes that are in use: a list of maps, mostly with one
// key each, and a map. The order of keys in a map means nothing; they are sorted.
func (d *decoder) headers(raw json.RawMessage, field string) []Header {
	if absent(raw) {
		return nil
	}
	if raw[0] != '[' {
		return d.headerMap(raw, field)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		d.errorf(report.WrongType, field, "", "headers cannot be read: %v", err)
	}
	var out []Header
	for i, item := range items {
		at := input.Element(field, i)
		some := d.headerMap(item, at)
		if len(some) == 2 && some[0].Name == "name" && some[1].Name == "value" {
			d.say(report.Warning, report.BadValue, at, fmt.Sprintf("write {%s: %q}", some[0].Value, some[1].Value),
				"these are conditions on two headers called name and value")
		}
		out = append(out, some...)
	}
	return out
}

func (d *decoder) headerMap(raw json.RawMessage, field string) []Header {
	var values map[string]json.RawMessage
	if absent(raw) || raw[0] != '{' || json.Unmarshal(raw, &values) != nil {
		d.errorf(report.WrongType, field, "write headers as a list: [{x-user: admin}]",
			"found %s, expected an object of header names and expressions", describe(raw))
		return nil
	}
	var out []Header
	for _, name := range slices.Sorted(maps.Keys(values)) {
		h := Header{Name: strings.ToLower(name), Field: input.Field(field, name)}
		value, ok := text(values[name])
		switch {
		case !headerName(h.Name):
			d.errorf(report.BadValue, h.Field, "", "%q is no header name", name)
		case !ok:
			d.errorf(report.WrongType, h.Field, "quote it, for an API server refuses anything but strings here",
				"found %s, expected a string", describe(values[name]))
		default:
			h.Value = value
			out = append(out, h)
		}
	}
	return out
}

// headerName reports whether a lower-case name can be that of a header; a
// leading colon names a part of the request line, as HTTP/2 does.
func headerName(s string) bool {
	s = strings.TrimPrefix(s, ":")
	for _, c := range s {
		if ok := 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", c); !ok {
			return false
		}
	}
	return s != ""
}

// allPorts reads the versions of a route that say nothing.
func allPorts[W any](*decoder, W) *PortRoute { return &PortRoute{AllPorts: true} }

func portRoute(d *decoder, w wirePortRoute) *PortRoute {
	const field = "spec.matches"
	raw := w.Spec.Matches
	if absent(raw) {
		d.say(report.Info, report.MissingField, "spec", "write matches: {ports: []} for all ports",
			"without matches the route holds for all ports; SMI's own CRD refuses this")
		return &PortRoute{AllPorts: true, Field: "spec"}
	}
	if raw[0] != '{' {
		d.errorf(report.WrongType, field, "matches of a "+d.Kind+" is one object: matches: {ports: [8080]}",
			"found %s, expected an object", describe(raw))
		return &PortRoute{Field: field}
	}
	r := &PortRoute{Field: input.Field(field, "ports")}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		d.errorf(report.WrongType, field, "", "matches cannot be read: %v", err)
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		switch key {
		case "name":
			r.Name = d.matchName(fields[key])
		case "ports":
		default:
			d.errorf(report.UnknownField, input.Field(field, key), "matches has name and ports", "unknown field %q", key)
		}
	}
	d.ports(fields["ports"], r)
	return r
}

func (d *decoder) matchName(raw json.RawMessage) string {
	name, ok := text(raw)
	if !ok && !absent(raw) {
		d.errorf(report.WrongType, "spec.matches.name", "", "found %s, expected a string", describe(raw))
	}
	return name
}

// ports reads a list of ports; an empty one means all.
func (d *decoder) ports(raw json.RawMessage, r *PortRoute) {
	var ports []json.RawMessage
	if !absent(raw) && (raw[0] != '[' || json.Unmarshal(raw, &ports) != nil) {
		d.errorf(report.WrongType, r.Field, "write a list, as in ports: [8080]", "found %s, expected a list", describe(raw))
		return
	}
	r.AllPorts = len(ports) == 0
	for i, p := range ports {
		field := input.Element(r.Field, i)
		if _, quoted := text(p); quoted {
			d.errorf(report.WrongType, field, "write it without quotes", "found a string, expected a number")
		} else if n, ok := d.port(p, field); ok {
			r.Ports = append(r.Ports, n)
		}
	}
}

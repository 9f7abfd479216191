package smi

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// Encode writes a value that Decode returned as an object of a version, in the
// forms that SMI's own CRDs accept. What the version cannot say is refused, for
// to leave out a condition would let more through; then there are no objects.
// The first object is the value itself. A second one is the TCPRoute that says,
// in versions without it, which port a TrafficTarget is restricted to.
func Encode(id input.ID, version string, value any) ([]map[string]any, report.Report) {
	e := &encoder{id: id, version: version}
	if !known(id, version) {
		e.refuse(report.UnknownVersion, "", "there is no %s in %s/%s", id.Kind, id.Group, version)
		return nil, e.found
	}
	var objects []map[string]any
	switch v := value.(type) {
	case *Split:
		objects = e.split(v)
	case *RouteGroup:
		objects = e.routeGroup(v)
	case *PortRoute:
		objects = e.portRoute(v)
	case *Target:
		objects = e.target(v)
	case *Binding:
		objects = e.binding(v)
	default:
		e.refuse(report.BadKind, "", "%T is no value of SMI", value)
	}
	if e.refused {
		return nil, e.found
	}
	return objects, e.found
}

func known(id input.ID, version string) bool {
	for _, s := range Schemas() {
		if s.Group == id.Group && s.Version == version && s.Kind == id.Kind {
			return true
		}
	}
	return false
}

// encoder holds what an object is written as, and what could not be said.
type encoder struct {
	id      input.ID // INPUT
	version string
	found   report.Report // OUTPUT
	refused bool
}

func (e *encoder) refuse(code report.Code, field, format string, args ...any) {
	f := report.New(code, e.id.Ref(field), fmt.Sprintf(format, args...))
	f.Severity = report.Error
	if code == report.Refused {
		f = f.WithClass(report.Widened)
	}
	e.found = append(e.found, f)
	e.refused = true
}

// object writes an object with its content beside the metadata.
func (e *encoder) object(content map[string]any) []map[string]any {
	return []map[string]any{object(e.id, e.version, content)}
}

func object(id input.ID, version string, content map[string]any) map[string]any {
	meta := map[string]any{"name": id.Name}
	if id.Namespace != "" {
		meta["namespace"] = id.Namespace
	}
	o := map[string]any{"apiVersion": id.Group + "/" + version, "kind": id.Kind, "metadata": meta}
	maps.Copy(o, content)
	return o
}

func spec(content map[string]any) map[string]any { return map[string]any{"spec": content} }

func (e *encoder) split(s *Split) []map[string]any {
	backends := make([]any, len(s.Backends))
	for i, b := range s.Backends {
		backends[i] = map[string]any{"service": b.Service, "weight": int64(b.Weight)}
	}
	out := map[string]any{"service": s.Service, "backends": backends}
	if len(s.Matches) == 0 {
		return e.object(spec(out))
	}
	if e.version < v1alpha3 {
		e.refuse(report.Refused, s.Matches[0].Field, "%s has no matches; without them every request would be split", e.version)
	}
	matches := make([]any, len(s.Matches))
	for i, m := range s.Matches {
		matches[i] = map[string]any{"apiGroup": m.Group, "kind": m.Kind, "name": m.Name}
	}
	out["matches"] = matches
	return e.object(spec(out))
}

func (e *encoder) routeGroup(g *RouteGroup) []map[string]any {
	matches := make([]any, len(g.Matches))
	for i, m := range g.Matches {
		matches[i] = e.match(m)
	}
	out := map[string]any{"matches": matches}
	if e.version < v1alpha3 {
		return e.object(out)
	}
	return e.object(spec(out))
}

func (e *encoder) match(m HTTPMatch) map[string]any {
	out := map[string]any{"name": m.Name}
	if m.PathRegex != "" {
		out["pathRegex"] = m.PathRegex
	}
	if len(m.Methods) > 0 {
		out["methods"] = texts(m.Methods)
	}
	if len(m.Headers) == 0 {
		return out
	}
	if e.version == v1alpha1 {
		e.refuse(report.Refused, m.Headers[0].Field, "%s has no headers; without them the match would hold for more requests", e.version)
	}
	headers := make([]any, len(m.Headers))
	for i, h := range m.Headers {
		headers[i] = map[string]any{h.Name: h.Value}
	}
	out["headers"] = headers
	return out
}

func (e *encoder) portRoute(r *PortRoute) []map[string]any {
	ports := make([]any, len(r.Ports))
	for i, p := range r.Ports {
		ports[i] = int64(p)
	}
	matches := map[string]any{"ports": ports}
	if r.Name != "" {
		matches["name"] = r.Name
	}
	switch {
	case !r.AllPorts && len(r.Ports) == 0:
		e.refuse(report.Refused, r.Field, "the route holds for no port, which SMI cannot say: an empty list is all ports")
	case e.version == v1alpha4:
		return e.object(spec(map[string]any{"matches": matches}))
	case !r.AllPorts:
		e.refuse(report.Refused, r.Field, "%s has no ports; without them the route would hold for all", e.version)
	case r.Name != "":
		e.refuse(report.Refused, "spec.matches.name", "%s has no match to be named", e.version)
	case e.version == v1alpha3:
		return e.object(spec(map[string]any{}))
	}
	return e.object(nil)
}

func (e *encoder) binding(b *Binding) []map[string]any {
	schemes := map[string]any{}
	if len(b.PodLabels) > 0 {
		labels := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(b.PodLabels)) {
			labels[k] = b.PodLabels[k]
		}
		schemes["podLabelSelector"] = map[string]any{"matchLabels": labels}
	}
	if len(b.SPIFFE) > 0 {
		schemes["spiffeIdentities"] = texts(b.SPIFFE)
	}
	if b.Account != "" {
		schemes["serviceAccount"] = b.Account
	}
	return e.object(spec(map[string]any{"schemes": schemes}))
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

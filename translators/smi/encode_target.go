package smi

import (
	"fmt"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

func (e *encoder) target(t *Target) []map[string]any {
	destination := e.account(t.Destination)
	rules := make([]any, 0, len(t.Rules)+1)
	for _, r := range t.Rules {
		rule := map[string]any{"kind": r.Kind, "name": r.Name}
		if !r.AllMatches {
			rule["matches"] = texts(r.Matches)
		}
		rules = append(rules, rule)
	}
	sources := make([]any, len(t.Sources))
	for i, s := range t.Sources {
		sources[i] = e.account(s)
	}
	var route map[string]any
	switch {
	case t.Port == 0 && t.PortField != "":
		e.refuse(report.Refused, t.PortField, "the port could not be read; without it every port would be allowed")
	case t.Port == 0:
	case e.version < v1alpha3:
		destination["port"] = int64(t.Port)
	default:
		id := e.portRouteID(t)
		route = object(id, v1alpha4, spec(map[string]any{"matches": map[string]any{"ports": []any{int64(t.Port)}}}))
		rules = append(rules, map[string]any{"kind": id.Kind, "name": id.Name})
	}
	content := map[string]any{"destination": destination, "sources": sources}
	if e.version == v1alpha1 {
		content["specs"] = rules
		return e.object(content)
	}
	content["rules"] = rules
	objects := e.object(spec(content))
	if route != nil {
		objects = append(objects, route)
	}
	return objects
}

func (e *encoder) account(a Account) map[string]any {
	out := map[string]any{"kind": a.Kind, "name": a.Name, "namespace": a.Namespace}
	if a.Kind != KindIdentityBinding {
		return out
	}
	if e.version != v1alpha4 {
		e.refuse(report.Refused, a.Field, "%s has no %s", e.version, KindIdentityBinding)
	}
	out["group"] = GroupAccess
	return out
}

// portRouteID names the TCPRoute that takes the place of a destination's port.
// It restricts a target only where no rule names a TCPRoute or UDPRoute yet, for
// their ports add up, and where there is a rule at all.
func (e *encoder) portRouteID(t *Target) input.ID {
	const longestName = 253
	id := input.ID{Group: GroupSpecs, Kind: KindTCPRoute, Namespace: e.id.Namespace, Name: fmt.Sprintf("%s-port-%d", e.id.Name, t.Port)}
	other := slices.IndexFunc(t.Rules, func(r RouteRef) bool { return r.Kind != KindHTTPRouteGroup })
	switch {
	case len(t.Rules) == 0:
		e.refuse(report.Refused, t.PortField, "a target without rules allows nothing; the TCPRoute for its port would allow something")
	case other >= 0:
		e.refuse(report.Refused, t.Rules[other].Field,
			"the TCPRoute for port %d would add to what %s %s allows; give that route the port", t.Port, t.Rules[other].Kind, t.Rules[other].Name)
	case len(id.Name) > longestName:
		e.refuse(report.BadName, t.PortField, "the TCPRoute for the port would have a name of %d characters", len(id.Name))
	default:
		e.found = append(e.found, report.New(report.ConvertedPort, e.id.Ref(t.PortField),
			fmt.Sprintf("%s has no port here; TCPRoute %s says it", e.version, id.Name)))
	}
	return id
}

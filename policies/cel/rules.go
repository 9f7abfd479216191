package cel

import "fmt"

// say makes expressions of a rule with its parameters.
type say func(parameters map[string]any) ([]Variable, []string)

func expressions(variables []Variable, all ...string) say {
	return func(map[string]any) ([]Variable, []string) { return variables, all }
}

var specAlone = []Variable{spec}

// rules are the shipped rules that look at one object. A test holds each against
// its samples, on an API server.
var rules = map[string]say{
	"cross-namespace-grant": expressions([]Variable{
		spec,
		{"home", "has(variables.spec.destination) && has(variables.spec.destination.namespace) ? variables.spec.destination.namespace : object.metadata.namespace"},
		{"declared", "has(object.metadata.annotations) && 'meshknot.io/allow-cross-namespace' in object.metadata.annotations ? " +
			"object.metadata.annotations['meshknot.io/allow-cross-namespace'].split(',').map(s, s.trim()) : []"},
	}, "!has(variables.spec.sources) || variables.spec.sources.all(s, "+
		"!has(s.namespace) || s.namespace == variables.home || s.namespace in variables.declared)"),

	"default-account-grant": expressions(specAlone,
		"!has(variables.spec.destination) || !("+account("variables.spec.destination")+")",
		"!has(variables.spec.sources) || variables.spec.sources.all(s, !("+account("s")+"))"),

	"mirror-to-other-namespace": func(parameters map[string]any) ([]Variable, []string) {
		filters := func(of string) string {
			return fmt.Sprintf("(!has(%[1]s.filters) || %[1]s.filters.all(f, !has(f.requestMirror) || !has(f.requestMirror.backendRef.namespace) || "+
				"f.requestMirror.backendRef.namespace == object.metadata.namespace || f.requestMirror.backendRef.namespace in variables.allowed))", of)
		}
		return []Variable{spec, {"allowed", literal(parameters["namespaces"])}},
			[]string{"!has(variables.spec.rules) || variables.spec.rules.all(r, " + filters("r") +
				" && (!has(r.backendRefs) || r.backendRefs.all(b, " + filters("b") + ")))"}
	},

	"missing-timeout": expressions(specAlone,
		"!has(variables.spec.rules) || variables.spec.rules.all(r, !has(r.backendRefs) || size(r.backendRefs) == 0 || has(r.timeouts) && ("+
			limited("r.timeouts.request")+" || "+limited("r.timeouts.backendRequest")+"))"),

	"open-route-match": expressions(specAlone,
		"!has(variables.spec.matches) || variables.spec.matches.all(m, "+
			`has(m.pathRegex) && !m.pathRegex.matches(r'^\^?(/\??)?(\.\*\$?)?$') || `+
			"has(m.methods) && size(m.methods) > 0 && !('*' in m.methods) || has(m.headers) && size(m.headers) > 0)"),

	"open-secret-grant": expressions(specAlone,
		"!has(variables.spec.to) || variables.spec.to.all(t, t.kind != 'Secret' || has(t.name) && t.name != '')"),

	"route-weights-zero": expressions(specAlone,
		"!has(variables.spec.rules) || variables.spec.rules.all(r, !has(r.backendRefs) || size(r.backendRefs) == 0 || "+
			"r.backendRefs.exists(b, !has(b.weight) || b.weight != 0))"),

	"split-weight-total": expressions([]Variable{
		spec,
		{"known", "has(variables.spec.backends) && size(variables.spec.backends) > 0 && " +
			"variables.spec.backends.all(b, has(b.weight) && type(b.weight) == int)"},
		{"total", "variables.known ? variables.spec.backends.map(b, int(b.weight)).sum() : 100"},
	}, "variables.total != 0 && (!variables.known || size(variables.spec.backends) == 1 || variables.total in [1, 10, 100, 1000])"),

	"weight-jump": weightJump,
}

// account holds for a reference to the account "default".
func account(of string) string {
	return fmt.Sprintf("has(%[1]s.name) && %[1]s.name == 'default' && (!has(%[1]s.kind) || %[1]s.kind == 'ServiceAccount')", of)
}

// limited holds for a duration that is given and not zero.
func limited(duration string) string {
	return fmt.Sprintf("has(%[1]s) && !%[1]s.matches(r'^(0+(h|m|s|ms))+$')", duration)
}

// weightJump compares shares with those that the object had: of a TrafficSplit by
// Service, of a route in each rule with the same matches by backend.
func weightJump(parameters map[string]any) ([]Variable, []string) {
	weight := func(of string) string { return fmt.Sprintf("(has(%[1]s.weight) ? int(%[1]s.weight) : 1)", of) }
	total := func(list string) string { return fmt.Sprintf("double(%s.map(x, %s).sum())", list, weight("x")) }
	share := func(list, same string) string {
		return fmt.Sprintf("(100.0 * double(%s.filter(y, %s).map(x, %s).sum()) / %s)", list, same, weight("x"), total(list))
	}
	grows := func(old, now, same string) string {
		return fmt.Sprintf("(%[3]s <= 0.0 || %[4]s <= 0.0 || %[2]s.all(b, %[5]s - %[6]s <= variables.points))",
			old, now, total(old), total(now), share(now, same), share(old, same))
	}
	field := func(of, name, otherwise string) string {
		return fmt.Sprintf("(has(%[1]s.%[2]s) ? %[1]s.%[2]s : %[3]s)", of, name, otherwise)
	}
	sameRef := "y.name == b.name && " + field("y", "port", "0") + " == " + field("b", "port", "0") + " && " +
		field("y", "namespace", "object.metadata.namespace") + " == " + field("b", "namespace", "object.metadata.namespace")
	variables := []Variable{
		spec,
		{"old", "oldObject == null ? {} : has(oldObject.spec) ? oldObject.spec : oldObject"},
		{"points", "double(" + literal(parameters["points"]) + ")"},
	}
	whole := func(list string) string { return list + ".all(b, has(b.weight) && type(b.weight) == int)" }
	return variables, []string{
		"!has(variables.spec.backends) || !has(variables.old.backends) || !" + whole("variables.spec.backends") + " || !" + whole("variables.old.backends") +
			" || " + grows("variables.old.backends", "variables.spec.backends", "y.service == b.service"),
		"!has(variables.spec.rules) || !has(variables.old.rules) || variables.spec.rules.all(r, !has(r.backendRefs) || variables.old.rules.all(o, " +
			"!has(o.backendRefs) || " + field("o", "matches", "[]") + " != " + field("r", "matches", "[]") + " || " +
			grows("o.backendRefs", "r.backendRefs", sameRef) + "))",
	}
}

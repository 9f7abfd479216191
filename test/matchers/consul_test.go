package matchers

import (
	"strings"

	"github.com/meshknot/meshknot/translators"
)

// The interpreter of a service-router's routes and of an intention's
// permissions. Both are tried in their order; a prefix is string-wise.

func consulRoute(out []translators.Artifact) condition {
	type row struct {
		holds condition
		there bool
	}
	var rows []row
	for _, o := range objects(out) {
		if o["Kind"] == "service-router" {
			for _, r := range list(o, "Routes") {
				rows = append(rows, row{consulMatch(at(r, "Match", "HTTP")), text(at(r, "Destination"), "Service") == backendName})
			}
		}
	}
	return func(q request) bool {
		for _, r := range rows {
			if r.holds(q) {
				return r.there
			}
		}
		return false
	}
}

func consulAccess(out []translators.Artifact) condition {
	type row struct {
		holds condition
		allow bool
	}
	var rows []row
	for _, o := range objects(out) {
		if o["Kind"] != "service-intentions" {
			continue
		}
		for _, s := range list(o, "Sources") {
			if text(s, "Name") == "*" {
				continue
			}
			if s["Action"] != nil {
				rows = append(rows, row{always, text(s, "Action") == "allow"})
			}
			for _, p := range list(s, "Permissions") {
				rows = append(rows, row{consulMatch(at(p, "HTTP")), text(p, "Action") == "allow"})
			}
		}
	}
	return func(q request) bool {
		for _, r := range rows {
			if r.holds(q) {
				return r.allow
			}
		}
		return false
	}
}

func consulMatch(m object) condition {
	var all []condition
	for field, v := range m {
		switch field {
		case "PathExact":
			all = append(all, on(inPath, consulCompare("Exact", v)))
		case "PathPrefix":
			all = append(all, on(inPath, consulCompare("Prefix", v)))
		case "PathRegex":
			all = append(all, on(inPath, consulCompare("Regex", v)))
		case "Header", "QueryParam":
			for _, one := range list(m, field) {
				all = append(all, consulNamed(map[string]part{"Header": inHeader, "QueryParam": inQuery}[field], one))
			}
		case "Methods":
		default:
			panic("Consul knows no condition " + field)
		}
	}
	return every(all)
}

func consulNamed(in part, o object) condition {
	var all []condition
	for kind, v := range o {
		switch {
		case kind == "Name":
		case kind == "Invert" || in == inQuery && (kind == "Prefix" || kind == "Suffix"):
			panic("a comparison by " + kind)
		default:
			all = append(all, on(in, consulCompare(kind, v)))
		}
	}
	if len(all) != 1 {
		panic("Consul wants one comparison")
	}
	return all[0]
}

func consulCompare(kind string, v any) func(string) bool {
	if kind == "Present" {
		return func(string) bool { return true }
	}
	value := v.(string)
	if value == "" {
		panic("Consul reads an empty value as none")
	}
	switch kind {
	case "Exact":
		return func(s string) bool { return s == value }
	case "Prefix":
		return func(s string) bool { return strings.HasPrefix(s, value) }
	case "Suffix":
		return func(s string) bool { return strings.HasSuffix(s, value) }
	case "Regex":
		return full(value)
	}
	panic("a comparison by " + kind)
}

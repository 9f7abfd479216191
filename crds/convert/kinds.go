package convert

import (
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/smi"
)

// known is a kind in a version.
type known = input.Schema

// The versions, which sort as they followed each other.
const (
	v1alpha1 = "v1alpha1"
	v1alpha2 = "v1alpha2"
	v1alpha3 = "v1alpha3"
	v1alpha4 = "v1alpha4"
)

const spec = "spec"

// hoist brings fields that stand beside the metadata under spec, where a partial
// object has any.
func hoist(c content, fields ...string) {
	under := map[string]any{}
	for _, f := range fields {
		if value, ok := c[f]; ok {
			under[f] = value
			delete(c, f)
		}
	}
	if len(under) > 0 {
		c[spec] = under
	}
}

// lower brings the fields of spec beside the metadata, and refuses any other.
func lower(c content, version string, fields ...string) error {
	under := inner(c, spec)
	for name := range under {
		if !slices.Contains(fields, name) {
			return refuse(input.Field(spec, name), "%s has no such field", version)
		}
	}
	delete(c, spec)
	for name, value := range under {
		c[name] = value
	}
	return nil
}

// empty reports whether a value says nothing.
func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// routeGroup converts an HTTPRouteGroup. Its matches stand beside the metadata
// up to v1alpha2, and have no headers in v1alpha1.
func routeGroup(from, to string, c content) error {
	list := "spec.matches"
	if from <= v1alpha2 {
		list = "matches"
		hoist(c, "matches")
	}
	if to == v1alpha1 {
		matches, _ := inner(c, spec)["matches"].([]any)
		for i, m := range matches {
			match, _ := m.(map[string]any)
			if headers, ok := match["headers"]; ok && !empty(headers) {
				return refuse(input.Field(input.Element(list, i), "headers"), "%s has no headers; without them the match would hold for more requests", to)
			}
			delete(match, "headers")
		}
	}
	if to <= v1alpha2 {
		return lower(c, to, "matches")
	}
	return nil
}

// tcpRoute converts a TCPRoute, which says nothing up to v1alpha3 and so stands
// for all ports.
func tcpRoute(from, to string, c content) error {
	if from == v1alpha4 {
		matches, ok := inner(c, spec)["matches"].(map[string]any)
		if written := inner(c, spec)["matches"]; !ok && !empty(written) {
			return refuse("spec.matches", "it is no object")
		}
		if !empty(matches["ports"]) {
			return refuse("spec.matches.ports", "%s has no ports; without them the route would hold for all", to)
		}
		if !empty(matches["name"]) {
			return refuse("spec.matches.name", "%s has no match to be named", to)
		}
	}
	delete(c, spec)
	switch to {
	case v1alpha4:
		c[spec] = map[string]any{"matches": map[string]any{"ports": []any{}}}
	case v1alpha3:
		c[spec] = map[string]any{}
	}
	return nil
}

// target converts a TrafficTarget. Its fields stand beside the metadata in
// v1alpha1, where rules are called specs; its destination has a port up to
// v1alpha2; accounts may be IdentityBindings in v1alpha4.
func target(from, to string, c content) error {
	path := spec
	if from == v1alpha1 {
		path = ""
		rename(c, "specs", "rules")
		hoist(c, "destination", "rules", "sources")
	}
	under, ok := c[spec].(map[string]any)
	if !ok { // a part of an object
		return nil
	}
	destination := inner(under, "destination")
	if port, ok := destination["port"]; ok && to >= v1alpha3 {
		if port != nil {
			return refuse(input.Field(input.Field(path, "destination"), "port"), "%s has no port; without it every port would be allowed: name the port in a TCPRoute, and that in a rule", to)
		}
		delete(destination, "port")
	}
	if from == v1alpha4 {
		if err := accounts(under, to); err != nil {
			return err
		}
	}
	if to != v1alpha2 { // where alone the lists may be missing, which is as if they were empty
		for _, list := range []string{"rules", "sources"} {
			if under[list] == nil {
				under[list] = []any{}
			}
		}
	}
	if to == v1alpha1 {
		if err := lower(c, to, "destination", "rules", "sources"); err != nil {
			return err
		}
		rename(c, "rules", "specs")
	}
	return nil
}

func rename(c content, old, now string) {
	if value, ok := c[old]; ok {
		delete(c, old)
		c[now] = value
	}
}

// accounts takes out of the accounts what only v1alpha4 has.
func accounts(under map[string]any, to string) error {
	one := func(value any, field string) error {
		account, _ := value.(map[string]any)
		if kind, _ := account["kind"].(string); kind == smi.KindIdentityBinding {
			return refuse(input.Field(field, "kind"), "%s knows no accounts of kind %s", to, kind)
		}
		if !empty(account["group"]) {
			return refuse(input.Field(field, "group"), "%s knows no groups of accounts", to)
		}
		delete(account, "group")
		return nil
	}
	if err := one(under["destination"], "spec.destination"); err != nil {
		return err
	}
	sources, _ := under["sources"].([]any)
	for i, s := range sources {
		if err := one(s, input.Element("spec.sources", i)); err != nil {
			return err
		}
	}
	return nil
}

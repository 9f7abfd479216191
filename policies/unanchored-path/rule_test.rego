package meshknot.unanchored_path_test

import data.meshknot.unanchored_path

fields(object, inventory) := {found.field |
	some found in unanchored_path.violation with input as object with data.inventory as inventory
}

group(match) := {
	"apiVersion": "specs.smi-spec.io/v1alpha4", "kind": "HTTPRouteGroup",
	"metadata": {"name": "reviews", "namespace": "shop"},
	"spec": {"matches": [{"name": "other", "pathRegex": "/$", "methods": ["GET"]}, object.union({"name": "m"}, match)]},
}

inventory(rule) := {"namespace": {"shop": {"access.smi-spec.io/v1alpha3": {"TrafficTarget": {"t": {"spec": {"rules": [
	{"kind": "TCPRoute", "name": "reviews"},
	rule,
]}}}}}}}

granted := inventory({"kind": "HTTPRouteGroup", "name": "reviews"})

path(expression) := group({"pathRegex": expression, "methods": ["GET"]})

test_open_ends if {
	every expression in ["/r", "^/r", "/r(/.*)?", "/r[$]", `/r\$`, "/r|/q"] {
		fields(path(expression), granted) == {"spec.matches[1].pathRegex"}
	}
	some found in unanchored_path.violation with input as path("/r") with data.inventory as granted
	found.msg == `"/r" does not say where the path ends`
}

test_loose_alternatives if {
	every expression in ["/r$|/q$", "^/r|/q$", "/(a|b)|c$"] {
		fields(path(expression), granted) == {"spec.matches[1].pathRegex"}
	}
	some found in unanchored_path.violation with input as path("/r|/q$") with data.inventory as granted
	found.msg == `the alternatives of "/r|/q$" are not in parentheses`
}

test_ends_are_said if {
	every expression in ["/r$", "/r/", "/r/.*", "/r/.+", "/(r|q)$", "/((r|q)|s)$", `/r\|q$`, `/r\\$`, "/[|]$", "/.*", ""] {
		fields(path(expression), granted) == set()
	}
}

test_no_path if fields(group({"methods": ["GET"]}), granted) == set()

test_not_granted if {
	fields(group({"pathRegex": "/r"}), inventory({"kind": "HTTPRouteGroup", "name": "ratings"})) == set()
	fields(group({"pathRegex": "/r"}), inventory({"kind": "HTTPRouteGroup", "name": "reviews", "matches": ["other"]})) == set()
	fields(group({"pathRegex": "/r"}), {}) == set()
}

test_granted_by_name if {
	rule := {"kind": "HTTPRouteGroup", "name": "reviews", "matches": ["m"]}
	fields(group({"pathRegex": "/r"}), inventory(rule)) == {"spec.matches[1].pathRegex"}
	old := {"kind": "TrafficTarget", "specs": [rule]}
	fields(group({"pathRegex": "/r"}), {"namespace": {"shop": {"access.smi-spec.io/v1alpha1": {"TrafficTarget": {"t": old}}}}}) == {"spec.matches[1].pathRegex"}
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Group"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(group({"pathRegex": "/r"}), other), granted) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": group({"pathRegex": "/r"})}}, granted) == {"spec.matches[1].pathRegex"}

package meshknot.any_method_grant_test

import data.meshknot.any_method_grant

fields(object, inventory) := {found.field |
	some found in any_method_grant.violation with input as object with data.inventory as inventory
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

test_any_method if {
	every match in [{"pathRegex": "/r$"}, {"pathRegex": "/r$", "methods": []}, {"pathRegex": "/r$", "methods": ["*"]}] {
		fields(group(match), granted) == {"spec.matches[1]"}
	}
	fields(group({"headers": [{"x": "y"}]}), granted) == {"spec.matches[1]"}
	some found in any_method_grant.violation with input as group({"pathRegex": "/r$"}) with data.inventory as granted
	found.msg == `match "m" grants every method`
}

test_methods_are_listed if fields(group({"pathRegex": "/r$", "methods": ["GET", "POST"]}), granted) == set()

test_no_condition_is_for_another_rule if {
	fields(group({"pathRegex": "/.*"}), granted) == set()
	fields(group({}), granted) == set()
}

test_not_granted if {
	fields(group({"pathRegex": "/r$"}), inventory({"kind": "HTTPRouteGroup", "name": "ratings"})) == set()
	fields(group({"pathRegex": "/r$"}), inventory({"kind": "HTTPRouteGroup", "name": "reviews", "matches": ["other"]})) == set()
	fields(group({"pathRegex": "/r$"}), {}) == set()
}

test_granted_by_name if {
	rule := {"kind": "HTTPRouteGroup", "name": "reviews", "matches": ["m"]}
	fields(group({"pathRegex": "/r$"}), inventory(rule)) == {"spec.matches[1]"}
	old := {"kind": "TrafficTarget", "specs": [rule]}
	fields(group({"pathRegex": "/r$"}), {"namespace": {"shop": {"access.smi-spec.io/v1alpha1": {"TrafficTarget": {"t": old}}}}}) == {"spec.matches[1]"}
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Group"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(group({"pathRegex": "/r$"}), other), granted) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": group({"pathRegex": "/r$"})}}, granted) == {"spec.matches[1]"}

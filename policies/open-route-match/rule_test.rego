package meshknot.open_route_match_test

import data.meshknot.open_route_match

group(match) := {
	"apiVersion": "specs.smi-spec.io/v1alpha4",
	"kind": "HTTPRouteGroup",
	"metadata": {"name": "reviews", "namespace": "shop"},
	"spec": {"matches": [{"name": "first", "pathRegex": "/first"}, match]},
}

test_nothing_said if {
	some found in open_route_match.violation with input as group({"name": "all"})
	found.field == "spec.matches[1]"
	found.details.match == "all"
}

test_expressions_that_hold_for_every_path if {
	every expression in ["", "/", "/.*", ".*", "^/.*$", "/?.*"] {
		count(open_route_match.violation) == 1 with input as group({"name": "all", "pathRegex": expression})
	}
}

test_expressions_that_do_not if {
	every expression in ["/v2", "/v2/.*", "/.+", "/$", "/a?.*"] {
		count(open_route_match.violation) == 0 with input as group({"name": "some", "pathRegex": expression})
	}
}

test_star_is_any_method if {
	count(open_route_match.violation) == 1 with input as group({"name": "all", "methods": ["GET", "*"]})
}

test_method_is_a_condition if {
	count(open_route_match.violation) == 0 with input as group({"name": "some", "pathRegex": ".*", "methods": ["GET"]})
}

test_header_is_a_condition if {
	count(open_route_match.violation) == 0 with input as group({"name": "some", "headers": [{"x-user": "beta"}]})
	count(open_route_match.violation) == 0 with input as group({"name": "some", "headers": {"x-user": "beta"}})
}

test_gatekeeper_form if {
	some found in open_route_match.violation with input as {"review": {"object": group({"name": "all"})}, "parameters": {}}
	found.field == "spec.matches[1]"
}

test_old_version_has_matches_at_the_top if {
	old := {"apiVersion": "specs.smi-spec.io/v1alpha2", "kind": "HTTPRouteGroup", "matches": [{"name": "all"}]}
	some found in open_route_match.violation with input as old
	found.field == "matches[0]"
}

test_other_groups_are_left_alone if {
	other := object.union(group({"name": "all"}), {"apiVersion": "example.com/v1"})
	count(open_route_match.violation) == 0 with input as other
}

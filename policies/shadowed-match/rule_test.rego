package meshknot.shadowed_match_test

import data.meshknot.shadowed_match

fields(object, inventory) := {found.field |
	some found in shadowed_match.violation with input as object with data.inventory as inventory
}

route(name, matches) := {
	"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
	"metadata": {"name": name, "namespace": "shop"},
	"spec": {"parentRefs": [{"name": "edge"}], "rules": [{"matches": match} | some match in matches]},
}

given(routes) := {"namespace": {"shop": {"gateway.networking.k8s.io/v1": {"HTTPRoute": {route.metadata.name: route | some route in routes}}}}}

a := {"path": {"type": "Exact", "value": "/a"}}

test_same_match_in_a_later_rule if {
	fields(route("r", [[a], [a]]), {}) == {"spec.rules[1].matches[0]"}
	some found in shadowed_match.violation with input as route("r", [[a], [a], [a]])
	found.msg == "spec.rules[0].matches[0] holds for the same requests and comes first"
}

test_same_match_in_a_rule if fields(route("r", [[a, a]]), {}) == {"spec.rules[0].matches[1]"}

test_written_differently if {
	every pair in [
		[{}, {"path": {"type": "PathPrefix", "value": "/"}}],
		[{"headers": [{"name": "X-A", "value": "1"}]}, {"headers": [{"name": "x-a", "type": "Exact", "value": "1"}]}],
		[{"queryParams": [{"name": "q", "value": "1"}]}, {"queryParams": [{"name": "q", "type": "Exact", "value": "1"}]}],
	] {
		fields(route("r", [[pair[0]], [pair[1]]]), {}) == {"spec.rules[1].matches[0]"}
	}
}

test_no_matches_means_all if fields(route("r", [[{}], []]), {}) == {"spec.rules[1]"}

test_different_matches if {
	every other in [
		{"path": {"type": "PathPrefix", "value": "/a"}}, {"path": {"type": "Exact", "value": "/b"}},
		object.union(a, {"method": "GET"}), object.union(a, {"headers": [{"name": "x", "value": "1"}]}),
		object.union(a, {"queryParams": [{"name": "x", "value": "1"}]}),
	] {
		fields(route("r", [[a], [other]]), {}) == set()
	}
	get := {"headers": [{"name": "x", "value": "1"}]}
	fields(route("r", [[get], [{"headers": [{"name": "x", "value": "2"}]}]]), {}) == set()
	fields(route("r", [[get], [{"headers": [{"name": "x", "value": "1", "type": "RegularExpression"}]}]]), {}) == set()
}

test_another_route_comes_first if {
	fields(route("r2", [[a]]), given([route("r1", [[a]])])) == {"spec.rules[0].matches[0]"}
	some found in shadowed_match.violation with input as route("r2", [[a]]) with data.inventory as given([route("r1", [[a]])])
	found.msg == "spec.rules[0].matches[0] of HTTPRoute r1 holds for the same requests and comes first"
}

test_another_route_comes_later if {
	fields(route("r1", [[a]]), given([route("r1", [[a]]), route("r2", [[a]])])) == set()
}

created(object, time) := json.patch(object, [{"op": "add", "path": "/metadata/creationTimestamp", "value": time}])

test_age_comes_before_names if {
	old := created(route("r2", [[a]]), "2025-01-01T00:00:00Z")
	new := created(route("r1", [[a]]), "2026-01-01T00:00:00Z")
	fields(new, given([old])) == {"spec.rules[0].matches[0]"}
	fields(old, given([new])) == set()
}

test_other_conditions_of_the_other_route if {
	every patch in [
		{"op": "add", "path": "/spec/hostnames", "value": ["example.com"]},
		{"op": "replace", "path": "/spec/parentRefs", "value": [{"name": "other"}]},
		{"op": "replace", "path": "/spec/parentRefs/0/namespace", "value": "infra"},
		{"op": "replace", "path": "/spec/rules/0/matches/0/path/value", "value": "/b"},
		{"op": "add", "path": "/spec/rules/0/matches/0/method", "value": "GET"},
	] {
		other := json.patch(
			object.union(route("r1", [[a]]), {"spec": {"parentRefs": [{"name": "edge", "namespace": "shop"}]}}),
			[patch],
		)
		fields(route("r2", [[a]]), given([other])) == set()
	}
}

test_same_parent_and_hostnames_written_differently if {
	one := object.union(route("r1", [[a]]), {"spec": {"parentRefs": [{"name": "edge", "namespace": "shop"}], "hostnames": ["a", "b"]}})
	two := object.union(route("r2", [[a]]), {"spec": {"hostnames": ["b", "a"]}})
	fields(two, given([one])) == {"spec.rules[0].matches[0]"}
}

test_grpc if {
	rule := {"matches": [{"method": {"service": "s", "method": "m"}}]}
	grpc := object.union(route("r", []), {"kind": "GRPCRoute", "spec": {"rules": [rule, rule]}})
	fields(grpc, {}) == {"spec.rules[1].matches[0]"}
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "TCPRoute"}, {"apiVersion": "example.com/v1"}] {
		object.union(route("r2", [[a], [a]]), other) == object.union(route("r2", [[a], [a]]), other)
		fields(object.union(route("r2", [[a], [a]]), other), {}) == set()
	}
	stranger := object.union(route("r2", [[a]]), {"apiVersion": "example.com/v1"})
	fields(stranger, given([route("r1", [[a]])])) == set()
}

test_gatekeeper_form if fields({"review": {"object": route("r", [[a], [a]])}}, {}) == {"spec.rules[1].matches[0]"}

test_too_many_to_compare if {
	many(100) == {"spec.rules[0].matches[0]"}
	many(101) == set()
}

many(n) := fields(route("z", [[a]]), given([route(sprintf("r%d", [i]), [[a]]) | some i in numbers.range(1, n)]))

package meshknot.cross_namespace_grant_test

import data.meshknot.cross_namespace_grant

target(annotations, sources) := {
	"apiVersion": "access.smi-spec.io/v1alpha3",
	"kind": "TrafficTarget",
	"metadata": {"name": "reviews", "namespace": "shop", "annotations": annotations},
	"spec": {
		"destination": {"kind": "ServiceAccount", "name": "reviews", "namespace": "shop"},
		"sources": sources,
	},
}

near := {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}

far := {"kind": "ServiceAccount", "name": "batch", "namespace": "jobs"}

test_source_of_another_namespace if {
	some found in cross_namespace_grant.violation with input as target({}, [near, far])
	found.field == "spec.sources[1].namespace"
	found.details.namespace == "jobs"
	found.msg == "batch of namespace jobs may call reviews of namespace shop, which is not declared"
}

test_source_of_the_same_namespace if {
	count(cross_namespace_grant.violation) == 0 with input as target({}, [near])
}

test_source_without_a_namespace if {
	count(cross_namespace_grant.violation) == 0 with input as target({}, [object.remove(near, ["namespace"])])
}

test_declared if {
	annotations := {"meshknot.io/allow-cross-namespace": "ops, jobs"}
	count(cross_namespace_grant.violation) == 0 with input as target(annotations, [near, far])
}

test_another_one_declared if {
	annotations := {"meshknot.io/allow-cross-namespace": "job,jobs2"}
	count(cross_namespace_grant.violation) == 1 with input as target(annotations, [near, far])
}

test_destination_decides_what_is_foreign if {
	elsewhere := object.union(target({}, [near]), {"metadata": {"namespace": "policies"}})
	count(cross_namespace_grant.violation) == 0 with input as elsewhere
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Target"}, {"apiVersion": "example.com/v1"}] {
		count(cross_namespace_grant.violation) == 0 with input as object.union(target({}, [far]), other)
	}
}

test_gatekeeper_form if {
	some found in cross_namespace_grant.violation with input as {"review": {"object": target({}, [far])}}
	found.field == "spec.sources[0].namespace"
}

test_oldest_version_has_sources_at_the_top if {
	old := {
		"apiVersion": "access.smi-spec.io/v1alpha1",
		"kind": "TrafficTarget",
		"metadata": {"name": "reviews", "namespace": "shop"},
		"destination": {"kind": "ServiceAccount", "name": "reviews"},
		"sources": [far],
	}
	some found in cross_namespace_grant.violation with input as old
	found.field == "sources[0].namespace"
}

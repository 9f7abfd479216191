package meshknot.split_weight_total_test

import data.meshknot.split_weight_total

split(weights) := {
	"apiVersion": "split.smi-spec.io/v1alpha4",
	"kind": "TrafficSplit",
	"metadata": {"name": "reviews", "namespace": "shop"},
	"spec": {
		"service": "reviews",
		"backends": [{"service": sprintf("reviews-v%d", [i]), "weight": weight} | some i, weight in weights],
	},
}

total(weights) := found.details.total if some found in split_weight_total.violation with input as split(weights)

fine(weights) if count(split_weight_total.violation) == 0 with input as split(weights)

test_round_totals if {
	every weights in [[90, 10], [1, 9], [900, 100], [100, 0], ["900m", "100m"], ["500m", "0.5"]] {
		fine(weights)
	}
}

test_other_totals if {
	total([90, 1]) == 91
	total([1000, 500]) == 1500
	total(["900m", "1"]) == 1.9
}

test_one_backend_needs_no_total if fine([7])

test_no_weight_at_all if {
	total([0, 0]) == 0
	total([0]) == 0
}

test_unreadable_weights_are_not_judged_here if fine(["many", 5, 7])

test_no_backends if fine([])

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Split"}, {"apiVersion": "example.com/v1"}] {
		count(split_weight_total.violation) == 0 with input as object.union(split([90, 1]), other)
	}
}

test_gatekeeper_form if {
	some found in split_weight_total.violation with input as {"review": {"object": split([90, 1])}}
	found.field == "spec.backends"
	found.msg == "the weights add up to 91, which is no round total"
}

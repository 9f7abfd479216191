# METADATA
# title: The weights of a split add up
# description: >-
#   Weights are ratios, so 90 and 1 is a legal split that sends one request in 91
#   to the canary, though 10 was meant. Weights that add up to 1, 10, 100 or 1000
#   read as what they are. A split with one backend needs no total, but it needs
#   a weight above zero.
# custom:
#   code: MKR004
#   severity: warning
#   since: 0.1.0
#   hint: make the weights add up to 100
#   kinds:
#     - TrafficSplit.split.smi-spec.io
package meshknot.split_weight_total

import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field, "details": {"total": total}} if {
	lib.is_a("split.smi-spec.io", "TrafficSplit")
	weights := [lib.weight(backend) | some backend in lib.spec.backends]
	count(weights) == count(lib.spec.backends)
	count(weights) > 0
	total := sum(weights)
	msg := complaint(total, count(weights))
	field := lib.field("backends")
}

complaint(0, _) := "all weights are zero: no backend gets traffic"

complaint(total, backends) := sprintf("the weights add up to %v, which is no round total", [total]) if {
	backends > 1
	not total in {0, 1, 10, 100, 1000}
}

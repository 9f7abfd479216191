# METADATA
# title: A rule of a route has a backend with a weight
# description: >-
#   All backends of a rule have weight 0, so no request that it takes is served:
#   each is answered with an error. A backend without a weight has weight 1. For
#   a TrafficSplit the rule split-weight-total says the same.
# custom:
#   code: MKR024
#   severity: error
#   since: 0.2.0
#   hint: give a backend a weight above zero, or remove the rule
#   kinds:
#     - HTTPRoute.gateway.networking.k8s.io
#     - GRPCRoute.gateway.networking.k8s.io
#     - TCPRoute.gateway.networking.k8s.io
#     - TLSRoute.gateway.networking.k8s.io
#     - UDPRoute.gateway.networking.k8s.io
package meshknot.route_weights_zero

import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": field} if {
	route.is_route
	some i, rule in lib.spec.rules
	count(rule.backendRefs) > 0
	every ref in rule.backendRefs {
		route.weight(ref) == 0
	}
	field := sprintf("spec.rules[%d].backendRefs", [i])
	msg := "all weights are zero: no request is served"
}

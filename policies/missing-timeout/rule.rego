# METADATA
# title: A route says how long a request may take
# description: >-
#   A rule of an HTTPRoute sends requests to a backend without a timeout, or
#   with one of zero, which is none. What happens then differs from mesh to
#   mesh: Envoy's own default is 15 seconds, that of others is none, and a
#   backend that hangs takes its callers with it.
# custom:
#   code: MKR022
#   severity: info
#   since: 0.2.0
#   hint: set timeouts.request
#   kinds:
#     - HTTPRoute.gateway.networking.k8s.io
package meshknot.missing_timeout

import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": field} if {
	lib.is_a(route.group, "HTTPRoute")
	some i, rule in lib.spec.rules
	count(rule.backendRefs) > 0
	not bounded(rule)
	field := sprintf("spec.rules[%d]", [i])
	msg := "a request may take as long as the mesh lets it"
}

bounded(rule) if {
	some duration in rule.timeouts
	not regex.match(`^(0+(h|m|s|ms))+$`, duration)
}

# METADATA
# title: Copies of requests stay in their namespace
# description: >-
#   A RequestMirror filter sends copies of requests, with their bodies, cookies
#   and credentials, to a Service of another namespace, where other people read
#   them. The namespaces that may get copies are listed in the parameter
#   namespaces.
# custom:
#   code: MKR021
#   severity: warning
#   since: 0.2.0
#   hint: mirror to a Service of the own namespace, or list the other one in the parameter
#   kinds:
#     - HTTPRoute.gateway.networking.k8s.io
#     - GRPCRoute.gateway.networking.k8s.io
#   parameters:
#     namespaces:
#       type: strings
#       default: []
#       description: the namespaces that may get copies of requests
package meshknot.mirror_to_other_namespace

import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": field} if {
	some mirror in route.mirrors
	namespace := route.namespace(mirror.ref)
	namespace != lib.namespace
	not namespace in lib.parameter("namespaces", [])
	field := sprintf("%s.namespace", [mirror.field])
	msg := sprintf("copies of requests go to %s of namespace %s", [mirror.ref.name, namespace])
}

# METADATA
# title: A group of matches is used
# description: >-
#   No TrafficTarget and no TrafficSplit of the namespace names this
#   HTTPRouteGroup, TCPRoute or UDPRoute, so it changes nothing, though it reads
#   like a policy. Often the one that was to name it has a misspelt name. Only
#   namespaces that have a TrafficTarget or TrafficSplit are judged.
# custom:
#   code: MKR012
#   severity: info
#   since: 0.2.0
#   hint: name it in a TrafficTarget or TrafficSplit, or remove it
#   kinds:
#     - HTTPRouteGroup.specs.smi-spec.io
#     - TCPRoute.specs.smi-spec.io
#     - UDPRoute.specs.smi-spec.io
package meshknot.unused_route_group

import data.lib.inventory
import data.lib.meshknot as lib

violation contains {"msg": msg, "field": "metadata.name"} if {
	some kind in {"HTTPRouteGroup", "TCPRoute", "UDPRoute"}
	lib.is_a("specs.smi-spec.io", kind)
	count(users) > 0
	not named(kind)
	msg := sprintf("no TrafficTarget and no TrafficSplit names this %s", [kind])
}

users := array.concat(
	inventory.objects(lib.namespace, "access.smi-spec.io", "TrafficTarget"),
	inventory.objects(lib.namespace, "split.smi-spec.io", "TrafficSplit"),
)

named(kind) if [kind, lib.resource.metadata.name] in inventory.references(lib.namespace)

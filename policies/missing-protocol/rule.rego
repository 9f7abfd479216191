# METADATA
# title: A port that policies are about says its protocol
# description: >-
#   A Service that a TrafficSplit, a route or, through its pods, a TrafficTarget
#   is about has a port that says neither by appProtocol nor by the first word
#   of its name what is spoken on it. Meshes then guess, and do not guess alike:
#   taken as TCP, conditions on paths and headers are lost or deny everything.
#   UDP ports are left alone.
# custom:
#   code: MKR014
#   severity: warning
#   since: 0.2.0
#   hint: set appProtocol, or begin the name of the port with the protocol, as in http-api
#   kinds:
#     - Service
package meshknot.missing_protocol

import data.lib.inventory
import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": field} if {
	lib.resource.apiVersion == "v1"
	lib.resource.kind == "Service"
	some i, port in lib.spec.ports
	object.get(port, "protocol", "TCP") == "TCP"
	not port.appProtocol
	not split(object.get(port, "name", ""), "-")[0] in words
	concerned
	field := sprintf("spec.ports[%d]", [i])
	msg := sprintf("port %v does not say its protocol", [port.port])
}

words := {
	"http", "ws", "grpc", "http2", "h2c",
	"tcp", "udp", "tls", "https", "wss", "mongo", "mysql", "redis",
}

name := lib.resource.metadata.name

concerned if {
	some found in inventory.objects(lib.namespace, "split.smi-spec.io", "TrafficSplit")
	spec := object.get(found, "spec", found)
	name in ({lib.service_name(spec.service)} | {lib.service_name(backend.service) | some backend in spec.backends})
}

concerned if {
	some kind in route.kinds
	some found in inventory.objects(lib.namespace, route.group, kind)
	here := {"namespace": lib.namespace, "name": name}
	here in (route.services(found, lib.namespace) | {ref |
		some rule in found.spec.rules
		some backend in rule.backendRefs
		ref := {"namespace": object.get(backend, "namespace", lib.namespace), "name": backend.name}
	})
}

concerned if count(inventory.behind(lib.namespace, name) & inventory.guarded(lib.namespace)) > 0

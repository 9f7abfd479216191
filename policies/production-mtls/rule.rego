# METADATA
# title: A production namespace takes calls with a proven identity only
# description: >-
#   A namespace with the label environment=production takes calls in plain text,
#   so whoever reaches its pods is let in without an identity, and no
#   TrafficTarget can tell who calls. It must demand mutual TLS: by a
#   PeerAuthentication of Istio of mode STRICT without a selector, its own or,
#   where it has none, that of the root namespace; or by an annotation
#   config.linkerd.io/default-inbound-policy of all-authenticated,
#   cluster-authenticated or deny. A PeerAuthentication that opens single
#   workloads or ports of such a namespace is found too. In Consul mutual TLS is
#   always demanded unless its mesh entry allows otherwise, which this rule does
#   not see.
# custom:
#   code: MKR016
#   severity: error
#   since: 0.2.0
#   hint: add a PeerAuthentication of mode STRICT, or annotate the namespace for Linkerd
#   kinds:
#     - Namespace
#     - PeerAuthentication.security.istio.io
#   parameters:
#     label:
#       type: string
#       default: environment
#       description: the label that says what a namespace is for
#     value:
#       type: string
#       default: production
#       description: the value of the label that the rule is about
#     rootNamespace:
#       type: string
#       default: istio-system
#       description: the root namespace of Istio
package meshknot.production_mtls

import data.lib.inventory
import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field} if {
	lib.resource.apiVersion == "v1"
	lib.resource.kind == "Namespace"
	production(lib.resource)
	not strict(lib.resource.metadata.name)
	not closed
	field := sprintf("metadata.labels.%s", [lib.parameter("label", "environment")])
	msg := sprintf("nothing demands mutual TLS in production namespace %s", [lib.resource.metadata.name])
}

violation contains {"msg": msg, "field": field} if {
	lib.is_a("security.istio.io", "PeerAuthentication")
	production(data.inventory.cluster.v1.Namespace[lib.namespace])
	some field, mode in modes
	mode in {"PERMISSIVE", "DISABLE"}
	msg := sprintf("mode %s lets calls in plain text into production namespace %s", [mode, lib.namespace])
}

production(namespace) if {
	namespace.metadata.labels[lib.parameter("label", "environment")] == lib.parameter("value", "production")
}

closed if {
	lib.annotation("config.linkerd.io/default-inbound-policy") in {"all-authenticated", "cluster-authenticated", "deny"}
}

modes["spec.mtls.mode"] := lib.spec.mtls.mode

modes[sprintf("spec.portLevelMtls.%s.mode", [port])] := setting.mode if some port, setting in lib.spec.portLevelMtls

# The modes that PeerAuthentications give a whole namespace.
whole(namespace) := {mode |
	some found in inventory.objects(namespace, "security.istio.io", "PeerAuthentication")
	count(object.get(found, ["spec", "selector"], {})) == 0
	mode := object.get(found, ["spec", "mtls", "mode"], "UNSET")
	mode != "UNSET"
}

strict(namespace) if whole(namespace) == {"STRICT"}

strict(namespace) if {
	count(whole(namespace)) == 0
	whole(lib.parameter("rootNamespace", "istio-system")) == {"STRICT"}
}

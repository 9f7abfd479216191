# METADATA
# title: A grant is about workloads that are there
# description: >-
#   A TrafficTarget names an account that no pod runs as: a name is misspelt, or
#   the workload is gone and its grant was left behind. Whoever makes pods with
#   that account later gets the access at once. A Gateway counts as a workload
#   of its account. Only namespaces of which workloads are given are judged.
# custom:
#   code: MKR010
#   severity: warning
#   since: 0.2.0
#   hint: correct the name, or remove the grant
#   kinds:
#     - TrafficTarget.access.smi-spec.io
package meshknot.unused_grant

import data.lib.inventory
import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field} if {
	lib.is_a("access.smi-spec.io", "TrafficTarget")
	some path, account in named
	known := inventory.accounts(account.namespace)
	count(known) > 0
	not account.name in known
	not account in gateways
	field := lib.field(sprintf("%s.name", [path]))
	msg := sprintf("no pod of namespace %s runs as account %s", [account.namespace, account.name])
}

named["destination"] := inventory.owner(lib.spec.destination, lib.namespace) if account_kind(lib.spec.destination)

named[sprintf("sources[%d]", [i])] := inventory.owner(source, lib.namespace) if {
	some i, source in lib.spec.sources
	account_kind(source)
}

account_kind(reference) if object.get(reference, "kind", "ServiceAccount") == "ServiceAccount"

gateways contains {"namespace": found.namespace, "name": inventory.gateway_account(found.object)} if {
	some found in inventory.everywhere("gateway.networking.k8s.io", "Gateway")
}

# METADATA
# title: A grant names an account of its own
# description: >-
#   Every pod that names no ServiceAccount runs as "default" of its namespace. A
#   TrafficTarget with that account as a source lets all of them call, also those
#   that will be deployed tomorrow; with that account as its destination, it
#   opens and closes all of them together.
# custom:
#   code: MKR003
#   severity: warning
#   since: 0.1.0
#   hint: give the workload a ServiceAccount of its own and name that one
#   kinds:
#     - TrafficTarget.access.smi-spec.io
package meshknot.default_account_grant

import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field} if {
	lib.is_a("access.smi-spec.io", "TrafficTarget")
	some path, account in accounts
	account.name == "default"
	object.get(account, "kind", "ServiceAccount") == "ServiceAccount"
	field := lib.field(sprintf("%s.name", [path]))
	msg := `account "default" is that of every pod without an account of its own`
}

accounts := object.union(
	{"destination": object.get(lib.spec, "destination", {})},
	{sprintf("sources[%d]", [i]): source | some i, source in lib.spec.sources},
)

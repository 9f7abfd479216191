# METADATA
# title: The backends of a split are guarded alike
# description: >-
#   Where a TrafficTarget guards the ServiceAccount behind one backend of a
#   TrafficSplit and none guards the account behind another, the split leads
#   around the guard: the unguarded backend takes calls from everybody, or, where
#   all access is denied by default, from nobody. The accounts are found through
#   the Services and the workloads that their selectors catch, so these have to be
#   given too (in a cluster: synchronised into Gatekeeper's inventory).
# custom:
#   code: MKR005
#   severity: error
#   since: 0.1.0
#   hint: add a TrafficTarget whose destination is that account, or run the backend with the account that is guarded
#   kinds:
#     - TrafficSplit.split.smi-spec.io
package meshknot.split_unguarded_backend

import data.lib.inventory
import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field, "details": {"account": open}} if {
	lib.is_a("split.smi-spec.io", "TrafficSplit")

	# Saves time only: most splits have one account behind all backends.
	count(behind) > 1

	closed := behind & guarded
	count(closed) > 0
	some i, backend in lib.spec.backends
	some open in (accounts(backend) - guarded)
	field := lib.field(sprintf("backends[%d].service", [i]))
	msg := sprintf("no TrafficTarget guards account %s behind %s, but one guards %s", [open, backend.service, concat(", ", closed)])
}

behind := {account | some backend in lib.spec.backends; some account in accounts(backend)}

# The accounts behind a backend that gets traffic.
accounts(backend) := inventory.behind(lib.namespace, backend.service) if lib.weight(backend) > 0

else := set()

guarded := inventory.guarded(lib.namespace)

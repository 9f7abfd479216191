# METADATA
# title: A grant to another namespace is declared
# description: >-
#   Whoever may create ServiceAccounts in a namespace decides who its accounts
#   are, so a TrafficTarget with a source of another namespace hands access over
#   to those who run that one. Such a grant has to be declared in the annotation
#   meshknot.io/allow-cross-namespace of the TrafficTarget, which lists the
#   namespaces, separated by commas.
# custom:
#   code: MKR002
#   severity: warning
#   since: 0.1.0
#   hint: add the namespace to the annotation meshknot.io/allow-cross-namespace, or remove the source
#   kinds:
#     - TrafficTarget.access.smi-spec.io
package meshknot.cross_namespace_grant

import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field, "details": {"namespace": source.namespace}} if {
	lib.is_a("access.smi-spec.io", "TrafficTarget")
	home := object.get(lib.spec, ["destination", "namespace"], lib.namespace)
	some i, source in lib.spec.sources
	source.namespace != home
	not source.namespace in declared
	field := lib.field(sprintf("sources[%d].namespace", [i]))
	msg := sprintf("%s of namespace %s may call %s of namespace %s, which is not declared", [
		object.get(source, "name", "an account"),
		source.namespace,
		object.get(lib.spec, ["destination", "name"], "an account"),
		home,
	])
}

declared contains trim_space(name) if {
	some name in split(lib.annotation("meshknot.io/allow-cross-namespace"), ",")
}

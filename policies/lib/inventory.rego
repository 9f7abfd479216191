# What there is beside the object under review, in the layout that Gatekeeper
# gives it: data.inventory.namespace[ns][apiVersion][kind][name]. What is asked
# for by group is found in every version.
package lib.inventory

# The objects of a kind in a namespace.
objects(namespace, group, kind) := [object |
	some kinds in versions(namespace, group)
	some object in kinds[kind]
]

# What there is of a group in a namespace, by version and kind.
versions(namespace, group) := [kinds |
	some version, kinds in data.inventory.namespace[namespace]
	is_of(version, group)
]

# The objects of a kind everywhere.
everywhere(group, kind) := [{"namespace": namespace, "object": object} |
	some namespace, versions in data.inventory.namespace
	some version, kinds in versions
	found := kinds[kind]
	is_of(version, group)
	some object in found
]

is_of(version, group) if startswith(version, concat("", [group, "/"]))

is_of("v1", "")

service(namespace, name) := data.inventory.namespace[namespace].v1.Service[name]

# What is said of pods: by themselves, or by the workload that makes them.
pods(namespace) := array.concat(
	[pod | some pod in data.inventory.namespace[namespace].v1.Pod],
	[template |
		some place in templates
		some workload in objects(namespace, place.group, place.kind)
		template := object.get(workload, place.path, null)
		template != null
	],
)

templates := [
	{"group": "apps", "kind": "Deployment", "path": ["spec", "template"]},
	{"group": "apps", "kind": "StatefulSet", "path": ["spec", "template"]},
	{"group": "apps", "kind": "DaemonSet", "path": ["spec", "template"]},
	{"group": "batch", "kind": "Job", "path": ["spec", "template"]},
	{"group": "batch", "kind": "CronJob", "path": ["spec", "jobTemplate", "spec", "template"]},
]

account(pod) := object.get(pod, ["spec", "serviceAccountName"], "default")

# The accounts that pods of a namespace run as.
accounts(namespace) := {account(pod) | some pod in pods(namespace)}

# The accounts of the pods behind a Service.
behind(namespace, name) := {account(pod) |
	selector := service(namespace, name).spec.selector
	count(selector) > 0
	some pod in pods(namespace)
	object.subset(object.get(pod, ["metadata", "labels"], {}), selector)
}

# The Services in front of the pods that run as an account.
in_front(namespace, name) := {found.metadata.name |
	labels := [object.get(pod, ["metadata", "labels"], {}) | some pod in pods(namespace); account(pod) == name]
	some found in objects(namespace, "", "Service")
	selector := found.spec.selector
	count(selector) > 0
	some label in labels
	object.subset(label, selector)
}

# What every TrafficTarget says, whatever its version.
targets := [{"namespace": found.namespace, "destination": destination, "sources": sources} |
	some found in everywhere("access.smi-spec.io", "TrafficTarget")
	spec := object.get(found.object, "spec", found.object)
	destination := owner(object.get(spec, "destination", {}), found.namespace)
	sources := {owner(source, found.namespace) | some source in spec.sources}
]

# An account that a TrafficTarget names; the namespace is its own unless said.
owner(reference, home) := {
	"namespace": object.get(reference, "namespace", home),
	"name": object.get(reference, "name", ""),
}

# The accounts of a namespace that a TrafficTarget guards: what is not granted
# to their pods is denied.
guarded(namespace) := {target.destination.name |
	some target in targets
	target.destination.namespace == namespace
}

# The account that a Gateway calls as: the one that an annotation names, or the
# one that the Gateways of a class are given when they are deployed.
gateway_account(found) := named if {
	named := found.metadata.annotations["meshknot.io/service-account"]
} else := concat("-", [found.metadata.name, found.spec.gatewayClassName])

gateway(namespace, name) := found if {
	some found in objects(namespace, "gateway.networking.k8s.io", "Gateway")
	found.metadata.name == name
}

# A TrafficTarget of the namespace grants a match of an HTTPRouteGroup.
grants(namespace, group, match) if {
	some target in objects(namespace, "access.smi-spec.io", "TrafficTarget")
	spec := object.get(target, "spec", target)
	some list in ["rules", "specs"]
	some rule in spec[list]
	rule.kind == "HTTPRouteGroup"
	rule.name == group
	match.name in object.get(rule, "matches", [match.name])
}

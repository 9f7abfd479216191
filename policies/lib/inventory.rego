# What there is beside the object under review, in the layout that Gatekeeper
# gives it: data.inventory.namespace[ns][apiVersion][kind][name]. What is asked
# for by group is found in every version.
package lib.inventory

import data.lib.meshknot as lib

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

# What the TrafficTargets of a namespace say, whatever their version.
targets(home) := [{"destination": destination, "sources": sources} |
	some found in objects(home, "access.smi-spec.io", "TrafficTarget")
	spec := object.get(found, "spec", found)
	destination := owner(object.get(spec, "destination", {}), home)
	sources := {owner(source, home) | some source in spec.sources}
]

# An account that a TrafficTarget names; the namespace is its own unless said.
owner(reference, home) := {
	"namespace": object.get(reference, "namespace", home),
	"name": object.get(reference, "name", ""),
}

# The accounts of a namespace that a TrafficTarget guards: what is not granted
# to their pods is denied.
guarded(namespace) := {target.destination.name |
	some home, _ in data.inventory.namespace
	some target in targets(home)
	target.destination.namespace == namespace
}

# Who may call an account.
callers(namespace, name) := {source |
	some home, _ in data.inventory.namespace
	some target in targets(home)
	target.destination == {"namespace": namespace, "name": name}
	some source in target.sources
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

# What the TrafficTargets of a namespace grant.
rules(namespace) := {rule |
	some target in objects(namespace, "access.smi-spec.io", "TrafficTarget")
	spec := object.get(target, "spec", target)
	some list in ["rules", "specs"]
	some rule in spec[list]
}

# A TrafficTarget of the namespace grants a match of an HTTPRouteGroup.
grants(namespace, group, match) if {
	some rule in rules(namespace)
	rule.kind == "HTTPRouteGroup"
	rule.name == group
	match.name in object.get(rule, "matches", [match.name])
}

# The Services that are there because TrafficSplits of a namespace share another one's
# requests between them.
variants(namespace) := {lib.service_name(backend.service) |
	some found in objects(namespace, "split.smi-spec.io", "TrafficSplit")
	spec := object.get(found, "spec", found)
	some backend in spec.backends
	backend.service != spec.service
}

# What the TrafficTargets and TrafficSplits of a namespace refer to, as kind and name.
references(namespace) := {[reference.kind, reference.name] |
	some [group, kind] in [["access.smi-spec.io", "TrafficTarget"], ["split.smi-spec.io", "TrafficSplit"]]
	some user in objects(namespace, group, kind)
	spec := object.get(user, "spec", user)
	some list in ["rules", "specs", "matches"]
	some reference in spec[list]
}

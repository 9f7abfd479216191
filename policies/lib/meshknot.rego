# What the shipped rules share. The package is named as Gatekeeper wants the
# libraries of a template to be named.
package lib.meshknot

# The object under review: Gatekeeper gives it in a review, conftest bare.
resource := input.review.object if input.review.object

else := input

# Old versions of SMI have their fields at the top of the object.
spec := resource.spec if resource.spec

else := resource

# A field of the spec, as the author of the object would call it.
field(path) := concat("", ["spec.", path]) if resource.spec

else := path

is_a(group, kind) if {
	resource.kind == kind
	startswith(resource.apiVersion, concat("", [group, "/"]))
}

namespace := object.get(resource, ["metadata", "namespace"], "default")

annotation(name) := resource.metadata.annotations[name]

# A weight as a number: the oldest version writes quantities, such as "500m".
weight(backend) := backend.weight if is_number(backend.weight)

else := units.parse(backend.weight)

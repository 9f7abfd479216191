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

# A parameter of the rule as Gatekeeper gives it, or, where it is not given, the
# default that METADATA names too.
parameter(name, otherwise) := given if {
	given := parameters[name]
} else := otherwise

parameters := input.parameters if input.review

# The spec that the object had until now, where it is known.
previous := input.review.oldObject.spec if input.review.oldObject.spec

else := input.review.oldObject

# Paths are matched from their start, so an expression that says nothing after
# the first slash holds for all of them.
any_path(match) if regex.match(`^\^?(/\??)?(\.\*\$?)?$`, object.get(match, "pathRegex", ""))

any_method(match) if count(object.get(match, "methods", [])) == 0

any_method(match) if "*" in match.methods

# The name of a Service in any of the forms in which SMI has it.
service_name(text) := split(text, ".")[0]

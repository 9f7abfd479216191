package policies

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Doc returns the page docs/policies.md: what the shipped rules say of
// themselves in their METADATA, with their samples, and what a rule may do.
func Doc() string {
	var b strings.Builder
	b.WriteString(docHead)
	rules := New(Shipped()...).Rules()
	b.WriteString("\n## The shipped rules\n\n| Rule | Code | Severity | |\n|---|---|---|---|\n")
	for _, r := range rules {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", r.Name, r.Name, r.Code, r.Severity, r.Title)
	}
	for _, r := range rules {
		fmt.Fprintf(&b, "\n### %s\n\n%s, %s: **%s.** %s\n\nTo mend it: %s.\n", r.Name, r.Code, r.Severity, r.Title, r.Description, r.Hint)
		for _, sample := range []struct{ file, title string }{
			{"fail.yaml", "This is found:"}, {"near-miss.yaml", "This is not:"},
		} {
			fmt.Fprintf(&b, "\n%s\n\n```yaml\n%s```\n", sample.title, readSample(path.Join(path.Dir(r.File), "samples", sample.file)))
		}
	}
	b.WriteString("\n## Functions that a rule may call\n\n")
	names := slices.DeleteFunc(slices.Sorted(slices.Values(allowed)), func(name string) bool {
		return strings.HasPrefix(name, "internal.")
	})
	fmt.Fprintf(&b, "`%s`\n", strings.Join(names, "` `"))
	return b.String()
}

func readSample(name string) string {
	source, err := fs.ReadFile(shipped, name)
	if err != nil {
		return "" // a test sees to it that there is one
	}
	return string(source)
}

const docHead = `# Policies

Rules in Rego say what a team wants beyond what SMI says: which grants are too
wide, which splits look like mistakes. meshknot ships the rules below and
evaluates a team's own beside them.

A rule file is the same everywhere. meshknot evaluates it; ` + "`opa test`" + ` tests it;
conftest runs it on files (there the input is the object); Gatekeeper runs it in
a cluster (there the object is ` + "`input.review.object`" + `). The package
` + "`lib.meshknot`" + ` picks the object from either form.

## Writing a rule

` + "```rego" + `
# METADATA
# title: Splits name an owner
# description: Somebody has to be asked before a split is changed.
# custom:
#   code: TEAM001
#   severity: warning
#   hint: add the annotation example.com/owner
package team.split_owner

import data.lib.meshknot as lib

violation contains {"msg": "the split has no owner", "field": "metadata.annotations"} if {
	lib.is_a("split.smi-spec.io", "TrafficSplit")
	not lib.annotation("example.com/owner")
}
` + "```" + `

- A rule named ` + "`deny`" + ` or ` + "`violation`" + ` is an error and one named ` + "`warn`" + ` a warning, unless
  ` + "`custom.severity`" + ` (error, warning, info) says otherwise. A suffix, as in ` + "`deny_open_grants`" + `, is fine.
- A result is a message, or an object with ` + "`msg`" + ` and, if it can be said, ` + "`field`" + ` (the place in the
  object, such as ` + "`spec.backends[0].weight`" + `) and ` + "`hint`" + `; the latter two may stand under ` + "`details`" + `.
- ` + "`custom.code`" + ` is two to eight capitals and two to five digits. Without one, findings are MK4001.
- ` + "`data.inventory`" + ` holds all objects of the run in Gatekeeper's layout:
  ` + "`data.inventory.namespace[ns][apiVersion][kind][name]`" + ` and ` + "`data.inventory.cluster[apiVersion][kind][name]`" + `.
- Tests stand in ` + "`*_test.rego`" + `. Beside a rule, ` + "`samples/pass.yaml`" + ` and ` + "`samples/near-miss.yaml`" + ` hold
  objects in which it must find nothing, ` + "`samples/fail.yaml`" + ` those in which it must find something.

A rule sees nothing but the object and the inventory: no network, no clock, no
chance, no files. One that calls anything else is refused when it is loaded
(MK4004), one that does not compile too (MK4002). An evaluation that takes
longer than 250 ms is stopped (MK4003). Each of these is an error: a check
that was not made never passes.
`

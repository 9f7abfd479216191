package policies

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Pages returns the pages about rules by their names below docs: policies.md,
// and policies/<rule>.md for each shipped rule. They hold what the rules say of
// themselves in their METADATA, with their samples, and what a rule may do.
func Pages() map[string]string {
	e := New(Shipped()...)
	pages := map[string]string{"policies.md": index(e.Rules())}
	for _, en := range e.plan().entries {
		pages["policies/"+en.rule.Name+".md"] = e.plan().page(en)
	}
	return pages
}

func index(rules []Rule) string {
	var b strings.Builder
	b.WriteString(docHead)
	b.WriteString("\n## The shipped rules\n\n| Rule | Code | Severity | |\n|---|---|---|---|\n")
	for _, r := range rules {
		fmt.Fprintf(&b, "| [%s](policies/%s.md) | %s | %s | %s |\n", r.Name, r.Name, r.Code, r.Severity, r.Title)
	}
	b.WriteString("\n## Functions that a rule may call\n\n")
	names := slices.DeleteFunc(slices.Sorted(slices.Values(allowed)), func(name string) bool {
		return strings.HasPrefix(name, "internal.")
	})
	fmt.Fprintf(&b, "`%s`\n", strings.Join(names, "` `"))
	return b.String()
}

// page describes one rule.
func (p *plan) page(en entry) string {
	var b strings.Builder
	r := en.rule
	fmt.Fprintf(&b, "# %s: %s\n\n%s, %s, since %s. Looks at %s.\n\n%s\n\nTo mend it: %s.\n", r.Name, r.Title,
		r.Code, r.Severity, r.Since, strings.Join(r.Kinds, ", "), r.Description, r.Hint)
	if len(r.Parameters) > 0 {
		b.WriteString("\n## Parameters\n\n| Parameter | Type | Default | |\n|---|---|---|---|\n")
		for _, q := range r.Parameters {
			fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", q.Name, q.Type, printed(q.Default), q.Description)
		}
		fmt.Fprintf(&b, "\n`--param %s.%s=VALUE` gives another value.\n", r.Name, r.Parameters[0].Name)
	}
	folder := path.Dir(r.File)
	for _, extra := range []struct{ file, title string }{
		{"parameters.yaml", "The samples below are judged with these parameters:"},
		{"previous.yaml", "The objects of the samples below take the place of these:"},
	} {
		if text := sampleText(path.Join(folder, "samples", extra.file)); text != "" {
			fmt.Fprintf(&b, "\n%s\n\n```yaml\n%s```\n", extra.title, text)
		}
	}
	titles := map[string]string{"fail": "What is found", "near-miss": "A near miss", "pass": "As it should be"}
	for _, kind := range sampleKinds {
		fmt.Fprintf(&b, "\n## %s\n\n```yaml\n%s```\n", titles[kind], sampleText(path.Join(folder, "samples", kind+".yaml")))
		if kind == "fail" {
			fmt.Fprintf(&b, "\n```\n%s```\n", p.said(en))
		}
	}
	return b.String()
}

// said is what a rule says of its failing sample.
func (p *plan) said(en entry) string {
	s, err := readSample(shipped, path.Dir(en.rule.File), "fail")
	if err != nil {
		return ""
	}
	found, err := p.checkSample(context.Background(), s, []entry{en})
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s %s: %s\n", f.Severity, f.Code, f.Source, f.Message)
	}
	return b.String()
}

// printed is a default as a policy's author would write it.
func printed(value any) string {
	v, err := ast.InterfaceToValue(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return strings.Trim(v.String(), `"`)
}

// sampleText is the text of a file, or nothing: a test sees to it that each rule
// has its samples.
func sampleText(name string) string {
	source, err := fs.ReadFile(shipped, name)
	if err != nil {
		return ""
	}
	return string(source)
}

const docHead = `# Policies

Rules in Rego say what a team wants beyond what SMI says: which grants are too
wide, which splits look like mistakes. meshknot ships the rules below and
evaluates a team's own beside them (` + "`--policy`" + `, a directory or a bundle).

A rule file is the same everywhere. meshknot evaluates it; ` + "`opa test --ignore samples`" + ` tests it;
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
- ` + "`custom.kinds`" + ` lists the kinds that the rule is evaluated on, such as ` + "`TrafficSplit.split.smi-spec.io`" + `, or
  ` + "`Service`" + ` of the core group. Without it that is every object.
- Tests stand in ` + "`*_test.rego`" + `. Beside a rule, ` + "`samples/pass.yaml`" + ` and ` + "`samples/near-miss.yaml`" + ` hold
  objects in which it must find nothing, ` + "`samples/fail.yaml`" + ` those in which it must find something.
  A near miss differs from the failing sample in the one thing that matters.

A rule sees nothing but the object and the inventory: no network, no clock, no
chance, no files. One that calls anything else is refused when it is loaded
(MK4004), one that does not compile too (MK4002). An evaluation that takes
longer than a second, or during which the program grows by more than 1 GiB, is
stopped (MK4003). Each of these is an error: a check that was not made never
passes.

## Other objects

` + "`data.inventory`" + ` holds all objects of the run in Gatekeeper's layout:
` + "`data.inventory.namespace[ns][apiVersion][kind][name]`" + ` and, for what has no namespace,
` + "`data.inventory.cluster[apiVersion][kind][name]`" + `. It holds objects of every kind, those that nothing is translated
from included, and those that were rejected. In a cluster, Gatekeeper has to be told which kinds to synchronise. The
package ` + "`lib.inventory`" + ` finds objects of a kind in any version, the accounts behind a Service and what TrafficTargets grant.

## Parameters

A rule declares its parameters in METADATA, each with a type (number, string, boolean, strings), a default and a description,
and reads them through the library or, as under Gatekeeper, in ` + "`input.parameters`" + `:

` + "```rego" + `
# custom:
#   parameters:
#     points:
#       type: number
#       default: 25
#       description: the percentage points by which a share may grow at once
points := lib.parameter("points", 25)
` + "```" + `

` + "`--param RULE.KEY=VALUE`" + ` gives another value; items of a list are separated by commas. A rule or parameter that does not exist, or
a value of another type, is an error. An object cannot set parameters: in the bare form there are none, and the defaults hold.

A rule that reads parameters or the previous object gets Gatekeeper's form of input, so it must read its object through
` + "`lib.resource`" + ` or ` + "`input.review.object`" + `.

## What was there before

In an admission review, ` + "`input.review.oldObject`" + ` is the object that is replaced. Elsewhere ` + "`meshknot policy eval --previous PATH`" + `
reads what was there before, say the same directory at the last commit, and pairs objects by group, kind, namespace and
name. Without it, and for new objects, ` + "`lib.previous`" + ` is undefined, and a rule that compares says nothing.

## Bundles

` + "`meshknot policy bundle build`" + ` makes a bundle that ` + "`opa`" + ` reads too: ` + "`.manifest`" + ` with the revision, ` + "`data.json`" + `, the rule files and the
library, and ` + "`.signatures.json`" + ` if a key is given. The same rules, revision and key give the same bytes; an ECDSA signature alone
differs each time. Tests and samples stay out.

- Keys are PEM files, named by their path and never shown. RSA signs RS256, ECDSA ES256, ES384 or ES512 by its curve, Ed25519
  EdDSA. ` + "`opa`" + ` verifies RS256 and the ES ones wherever it reads bundles; EdDSA only where ` + "`--signing-alg`" + ` says so, not in the keys of
  its configuration file. Shared secrets (HS256) are not taken: whoever can verify with one can sign with it.
- ` + "`bundle verify --key`" + ` and ` + "`--policy BUNDLE --policy-key`" + ` refuse (MK4005) a bundle without a signature, with a wrong one, with a file that was changed,
  added or taken away, and one of a revision below ` + "`--min-revision`" + `. Nothing of a refused bundle is evaluated.
- The revision is a whole number or a semantic version. Two of different forms cannot be compared, which refuses the bundle.
- A bundle is at most 16 MiB packed and 64 MiB unpacked, with 2,000 files of 1 MiB.
- ` + "`--policy BUNDLE`" + ` without ` + "`--policy-key`" + ` loads a bundle unverified, as a directory is loaded; with a key, every bundle must verify.
- Beside a bundle of the shipped rules, ` + "`--shipped-policies=false`" + ` keeps each rule from being evaluated twice.

A signature says who made a bundle, not that it is the newest one: whoever can replace the file can put an older signed bundle in
its place. ` + "`--policy-min-revision`" + ` is what stops that.
`

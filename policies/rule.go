package policies

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/meshknot/meshknot/translators/report"
)

// Rule describes a rule: where it stands and what its METADATA says.
type Rule struct {
	// Name is short: the package without "data.meshknot.", in dashes, as in
	// "default-account-grant"; for a rule from elsewhere the whole package.
	Name string `json:"name"`
	// Package is the Rego package, such as "meshknot.default_account_grant".
	Package string `json:"package"`
	// Entry is the rule's name in the package: deny, violation or warn.
	Entry       string `json:"entry"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Code is the rule's own, or MK4001.
	Code     report.Code     `json:"code"`
	Severity report.Severity `json:"severity"`
	Hint     string          `json:"hint,omitempty"`
	// Kinds are those that the rule is evaluated on, as "TrafficSplit.split.smi-spec.io"
	// or, of the core group, "Service"; empty means all.
	Kinds []string `json:"kinds,omitempty"`
	// Since is the version of meshknot that first had the rule.
	Since      string      `json:"since,omitempty"`
	Parameters []Parameter `json:"parameters,omitempty"`
	File       string      `json:"file"`
	Line       int         `json:"line"`
}

var (
	// kindForm is a kind, a dot and a group; the core group has no name.
	kindForm = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*(\.[a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`)
	codeForm = regexp.MustCompile(`^[A-Z]{2,8}[0-9]{2,5}$`)
	// ownCode matches the codes of the table in package report: a rule must not
	// speak in their name.
	ownCode = regexp.MustCompile(`^MK[0-9]+$`)
)

// describe reads the annotations of an entry, which several rules of one name
// make up. What is nearest to a rule wins: its own METADATA, then the
// document's, then the package's.
func describe(set *ast.AnnotationSet, rules []*ast.Rule) (Rule, error) {
	first := rules[0]
	r := Rule{
		Package:  strings.TrimPrefix(first.Module.Package.Path.String(), "data."),
		Entry:    entryName(first),
		Code:     report.PolicyViolation,
		Severity: report.Error,
		File:     first.Location.File,
		Line:     first.Location.Row,
	}
	r.Name = r.Package
	if own, ok := strings.CutPrefix(r.Package, "meshknot."); ok {
		r.Name = strings.ReplaceAll(own, "_", "-")
	}
	if strings.HasPrefix(r.Entry, "warn") {
		r.Severity = report.Warning
	}
	return r, r.customise(r.annotate(set, rules))
}

// annotate takes title and description from METADATA and returns its custom
// section.
func (r *Rule) annotate(set *ast.AnnotationSet, rules []*ast.Rule) map[string]any {
	custom := map[string]any{}
	for _, rule := range rules {
		for _, ref := range set.Chain(rule) {
			a := ref.Annotations
			if a == nil {
				continue
			}
			r.Title = cmp.Or(r.Title, a.Title)
			r.Description = cmp.Or(r.Description, strings.TrimSpace(a.Description))
			nearer := maps.Clone(custom)
			maps.Copy(custom, a.Custom)
			maps.Copy(custom, nearer)
		}
	}
	return custom
}

// customise takes code, severity and hint from METADATA's custom section.
func (r *Rule) customise(custom map[string]any) error {
	read := map[string]string{}
	for _, key := range []string{"code", "severity", "hint", "since"} {
		value, given := custom[key]
		text, ok := value.(string)
		if given && !ok {
			return fmt.Errorf("METADATA custom.%s of %s must be a string", key, r.Name)
		}
		read[key] = text
	}
	if code := read["code"]; code != "" {
		if !codeForm.MatchString(code) || ownCode.MatchString(code) {
			return fmt.Errorf("METADATA custom.code of %s is %q: two to eight capitals and two to five digits are a code, but not MK and digits, which are taken", r.Name, code)
		}
		r.Code = report.Code(code)
	}
	if severity := report.Severity(read["severity"]); severity != "" {
		if !slices.Contains([]report.Severity{report.Error, report.Warning, report.Info}, severity) {
			return fmt.Errorf("METADATA custom.severity of %s is %q: error, warning and info are severities", r.Name, severity)
		}
		r.Severity = severity
	}
	r.Hint, r.Since = read["hint"], read["since"]
	var err error
	if r.Kinds, err = kinds(custom["kinds"]); err != nil {
		return fmt.Errorf("METADATA custom.kinds of %s: %w", r.Name, err)
	}
	if r.Parameters, err = parameters(custom["parameters"]); err != nil {
		return fmt.Errorf("METADATA custom.parameters of %s: %w", r.Name, err)
	}
	return nil
}

// kinds reads a list of kinds.
func kinds(value any) ([]string, error) {
	if value == nil {
		return nil, nil
	}
	items, ok := value.([]any)
	if !ok || len(items) == 0 {
		return nil, errors.New("a list of kinds is wanted, such as [TrafficSplit.split.smi-spec.io]")
	}
	var out []string
	for _, item := range items {
		kind, ok := item.(string)
		if !ok || !kindForm.MatchString(kind) {
			return nil, fmt.Errorf("%v is no kind: TrafficSplit.split.smi-spec.io is one", item)
		}
		out = append(out, kind)
	}
	return out, nil
}

// concerns reports whether the rule is evaluated on the object.
func (r Rule) concerns(o report.Ref) bool {
	return len(r.Kinds) == 0 || slices.ContainsFunc(r.Kinds, func(k string) bool {
		kind, group, _ := strings.Cut(k, ".")
		return kind == o.Kind && group == o.Group
	})
}

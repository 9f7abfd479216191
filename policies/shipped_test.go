package policies

import (
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"github.com/meshknot/meshknot/translators/report"
)

// shippedRules is how many rules there are: one that does not load is missed.
const shippedRules = 24

// TestShippedSuite runs the shipped rules' own tests and samples.
func TestShippedSuite(t *testing.T) {
	results, coverage, err := TestCoverage(t.Context(), Files(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.Passed || r.Skipped {
			t.Errorf("%s:%d: %s: %s", r.File, r.Line, r.Name, r.Message)
		}
	}
	for _, c := range coverage {
		if c.Percent < 100 {
			t.Errorf("%s: tests run %.1f %% of it, not the lines %v", c.File, c.Percent, c.Missed)
		}
	}
	if len(coverage) != shippedRules+3 {
		t.Errorf("coverage of %d files, want %d rules and three of the library", len(coverage), shippedRules)
	}
}

// TestShippedSamples: every rule has one sample of each sort, and its own
// sample fails by it, with its code, at a field that is there.
func TestShippedSamples(t *testing.T) {
	e := New(Shipped()...)
	codes := map[report.Code]bool{}
	for _, r := range e.Rules() {
		folder := path.Dir(r.File)
		if folder != r.Name || r.Package != "meshknot."+strings.ReplaceAll(folder, "-", "_") {
			t.Errorf("%s: folder, name %s and package %s differ", folder, r.Name, r.Package)
		}
		if codes[r.Code] || r.Code == report.PolicyViolation {
			t.Errorf("%s has code %s", r.Name, r.Code)
		}
		codes[r.Code] = true
		if r.Title == "" || r.Description == "" || r.Hint == "" || strings.HasSuffix(r.Title, ".") {
			t.Errorf("%s does not describe itself", r.Name)
		}
		if len(r.Kinds) == 0 || r.Since == "" {
			t.Errorf("%s does not say its kinds, or since when it is there", r.Name)
		}
		for _, kind := range sampleKinds {
			s, err := readSample(Files(), folder, kind)
			if err != nil || len(s.objects) == 0 {
				t.Errorf("%s: %s.yaml holds %d objects: %v", r.Name, kind, len(s.objects), err)
			}
			found, err := e.plan().checkSample(t.Context(), s, e.plan().entries)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Code == r.Code && !hasField(s.objects, f.Source) {
					t.Errorf("%s: no such field: %s", r.Name, f.Source)
				}
			}
		}
	}
	if len(codes) != shippedRules {
		t.Errorf("%d rules, want %d", len(codes), shippedRules)
	}
}

// hasField looks a field such as spec.backends[1].weight up in an object.
func hasField(objects []Object, at report.Ref) bool {
	i := slices.IndexFunc(objects, func(o Object) bool { return o.Ref == at.Object() })
	if i < 0 || at.Field == "" {
		return false
	}
	var here any = objects[i].Value
	for _, step := range regexp.MustCompile(`[^.\[\]]+`).FindAllString(at.Field, -1) {
		switch v := here.(type) {
		case map[string]any:
			here = v[step]
		case []any:
			n := int(step[0] - '0')
			if n >= len(v) {
				return false
			}
			here = v[n]
		}
		if here == nil {
			return false
		}
	}
	return true
}

// TestShippedStyle: formatted as "opa fmt" does, strict, and nothing that
// Gatekeeper would refuse in a template: of data only the inventory and
// libraries, and the result in a rule named violation.
func TestShippedStyle(t *testing.T) {
	modules := map[string]*ast.Module{}
	for _, m := range Shipped() {
		formatted, err := format.Source(m.File, m.Source)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(formatted, m.Source) {
			t.Errorf("%s is not formatted; opa fmt makes it:\n%s", m.File, formatted)
		}
		module, err := ast.ParseModuleWithOpts(m.File, string(m.Source), ast.ParserOptions{ProcessAnnotation: true})
		if err != nil {
			t.Fatal(err)
		}
		modules[m.File] = module
		if m.isTest() {
			continue
		}
		ast.WalkRefs(module, func(r ast.Ref) bool {
			own := r.Equal(module.Package.Path)
			if r.HasPrefix(ast.DefaultRootRef) && !own && !r.HasPrefix(inventoryRef) && !r.HasPrefix(ast.MustParseRef("data.lib")) {
				t.Errorf("%s: Gatekeeper allows no reference to %v", m.File, r)
			}
			return false
		})
	}
	c := ast.NewCompiler().WithStrict(true).WithCapabilities(capabilities())
	if c.Compile(modules); c.Failed() {
		t.Error(c.Errors)
	}
	for _, r := range New(Shipped()...).Rules() {
		if r.Entry != "violation" {
			t.Errorf("%s: Gatekeeper asks for violation, not %s", r.Name, r.Entry)
		}
	}
}

// TestEveryLineMatters deletes each condition of each rule in turn. The rule's
// tests and samples must notice, or the line is not needed or not tested. A line
// that changes no result says so in a comment above it.
func TestEveryLineMatters(t *testing.T) {
	for _, m := range Shipped() {
		if m.isTest() || path.Dir(m.File) == library {
			continue
		}
		t.Run(m.File, func(t *testing.T) {
			t.Parallel()
			everyLineMatters(t, m)
		})
	}
}

func everyLineMatters(t *testing.T, m Module) {
	t.Helper()
	lines := strings.Split(string(m.Source), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "\t#") || strings.HasPrefix(lines[i-1], "\t# Saves time only") {
			continue
		}
		mutant := fstest.MapFS{}
		for _, name := range ruleFiles(t, path.Dir(m.File)) {
			source, err := fs.ReadFile(Files(), name)
			if err != nil {
				t.Fatal(err)
			}
			mutant[name] = &fstest.MapFile{Data: source}
		}
		mutant[m.File].Data = []byte(strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "\n"))
		results, err := Test(t.Context(), mutant, "")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(results, func(r TestResult) bool { return !r.Passed }) {
			t.Errorf("%s:%d: nothing fails without %q", m.File, i+1, strings.TrimSpace(line))
		}
	}
}

func TestLibraryPackages(t *testing.T) {
	var have []string
	for _, m := range libraryModules() {
		have = append(have, packageOf(m))
	}
	if !slices.Equal(have, libraryPackages) {
		t.Errorf("got %q, want %q", have, libraryPackages)
	}
}

func ruleFiles(t *testing.T, folder string) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{folder + "/*.rego", folder + "/samples/*.yaml", library + "/*.rego"} {
		found, err := fs.Glob(Files(), pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	return names
}

// Package conformance runs the manifests of Gateway API's own conformance suite,
// in place, and keeps what becomes of each in one reviewed file. The conditions
// that the suite demands by name are demanded here too.
package conformance

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

var update = flag.Bool("update", false, "rewrite outcomes.txt")

const module = "sigs.k8s.io/gateway-api/conformance@v1.6.3"

// suite is where the module lies. It is no dependency of ours: only its manifests
// are read.
func suite(t *testing.T) string {
	t.Helper()
	c := exec.Command("go", "mod", "download", "-json", module)
	c.Dir = t.TempDir() // outside of our own module
	out, err := c.Output()
	var m struct{ Dir, Error string }
	if err == nil {
		err = json.Unmarshal(out, &m)
	}
	if err == nil && m.Dir != "" {
		return m.Dir
	}
	if os.Getenv("REQUIRE_REAL") == "1" {
		t.Fatalf("REQUIRE_REAL=1, and %s cannot be had: %v %s", module, err, m.Error)
	}
	t.Skipf("LOUD SKIP: %s cannot be had (%v %s): Gateway API's own manifests were not tried", module, err, m.Error)
	return ""
}

// manifest reads a file of the suite as its runner does.
func manifest(t *testing.T, dir, name string) input.File {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return input.File{Name: name, Data: []byte(strings.ReplaceAll(string(text), "{GATEWAY_CLASS_NAME}", "meshknot"))}
}

// base returns the file that the runner applies before those of a test.
func base(name string) string {
	if strings.HasPrefix(name, "tests/mesh/") {
		return "mesh/manifests.yaml"
	}
	return "base/manifests.yaml"
}

// names lists the manifests of all tests.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"tests/*.yaml", "tests/mesh/*.yaml"} {
		found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		for _, f := range found {
			rel, err := filepath.Rel(dir, f)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, filepath.ToSlash(rel))
		}
	}
	return out
}

// outcome is what becomes of one test's manifests.
type outcome struct {
	set      *input.Set
	result   engine.Result
	found    report.Report
	statuses []objectStatus
}

// objectStatus is the status of an object in the words of Gateway API.
type objectStatus struct {
	object report.Ref
	status statusDocument
}

type statusDocument struct {
	Conditions           []condition
	AttachedListenerSets int
	Listeners            []struct {
		Name           string
		AttachedRoutes int
		SupportedKinds []struct{ Kind string }
		Conditions     []condition
	}
	Parents []struct {
		ParentRef struct {
			Kind, Namespace, Name, SectionName string
			Port                               int
		}
		Conditions []condition
	}
}

type condition struct{ Type, Status, Reason string }

// translate runs files through every back end.
func translate(t *testing.T, files ...input.File) outcome {
	t.Helper()
	p := all.Pipeline()
	var targets []translators.Target
	for _, b := range p.Backends {
		targets = append(targets, translators.Target{Backend: b.Name()})
	}
	set, found := input.ReadFiles(files, input.Options{Schemas: p.Schemas()})
	store := input.NewStore(set, input.Settings{Complete: true})
	out := outcome{set: set, result: engine.New(p, targets, nil).Run(store)}
	out.found = append(found, out.result.Findings...).Sorted()
	for _, s := range all.Status(store) {
		text, err := json.Marshal(s.Status)
		if err != nil {
			t.Fatal(err)
		}
		o := objectStatus{object: s.Object}
		if err := json.Unmarshal(text, &o.status); err != nil {
			t.Fatal(err)
		}
		out.statuses = append(out.statuses, o)
	}
	return out
}

// describe is a few lines for people. What stands in the base manifests, which
// every test has, is left out.
func (o outcome) describe(name string, base outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  %d units%s\n", name, len(o.result.Units), codes(o.found, base.found))
	for _, s := range o.statuses {
		if _, ok := base.set.Locate(s.object); ok && s.object.Kind != "Gateway" {
			continue
		} else if ok && slices.Equal(s.lines(), base.of(s.object).lines()) {
			continue
		}
		for _, l := range s.lines() {
			b.WriteString("  " + l + "\n")
		}
	}
	return b.String()
}

func (o outcome) of(object report.Ref) objectStatus {
	for _, s := range o.statuses {
		if s.object == object {
			return s
		}
	}
	return objectStatus{}
}

func (s objectStatus) lines() []string {
	out := []string{s.object.String() + terse(s.status.Conditions)}
	for _, l := range s.status.Listeners {
		out = append(out, fmt.Sprintf("  listener %s, routes %d%s", l.Name, l.AttachedRoutes, terse(l.Conditions)))
	}
	for _, p := range s.status.Parents {
		r := p.ParentRef
		at := strings.TrimPrefix(r.Namespace+"/", "/") + r.Name
		if r.SectionName != "" {
			at += " " + r.SectionName
		}
		if r.Port != 0 {
			at += fmt.Sprintf(":%d", r.Port)
		}
		out = append(out, "  at "+at+terse(p.Conditions))
	}
	return out
}

// terse renders the conditions that are not as they should be.
func terse(all []condition) string {
	var out []string
	for _, c := range all {
		wanted := "True"
		if c.Type == "Conflicted" || c.Type == "PartiallyInvalid" {
			wanted = "False"
		}
		if c.Status == wanted && (c.Reason == c.Type || c.Reason == "NoConflicts") {
			continue
		}
		out = append(out, c.Type+"="+c.Status+"/"+c.Reason)
	}
	switch {
	case len(all) == 0:
		return ""
	case len(out) == 0:
		return ": good"
	}
	return ": " + strings.Join(out, ", ")
}

// codes counts findings by code, without those of the base manifests.
func codes(found, base report.Report) string {
	n := map[string]int{}
	for _, f := range found {
		same := func(o report.Finding) bool { return o.Compare(f) == 0 }
		if f.Severity != report.Info && !slices.ContainsFunc(base, same) {
			n[string(f.Severity)+" "+string(f.Code)]++
		}
	}
	var out []string
	for k, v := range n {
		out = append(out, fmt.Sprintf("%s×%d", k, v))
	}
	slices.Sort(out)
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, ", ")
}

func TestOutcomes(t *testing.T) {
	dir := suite(t)
	bases := map[string]outcome{}
	var b strings.Builder
	for _, name := range []string{"base/manifests.yaml", "mesh/manifests.yaml"} {
		bases[name] = translate(t, manifest(t, dir, name))
		b.WriteString(bases[name].describe(name, outcome{set: &input.Set{}}))
	}
	for _, name := range names(t, dir) {
		o := translate(t, manifest(t, dir, base(name)), manifest(t, dir, name))
		b.WriteString(o.describe(name, bases[base(name)]))
	}
	if *update {
		if err := os.WriteFile("outcomes.txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("outcomes.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("outcomes differ from outcomes.txt (-want +got); review them and run make golden:\n%s", d)
	}
}

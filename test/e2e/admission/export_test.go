package admission

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/internal/cli"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/policies/cel"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// documents reads the objects of YAML texts; what is none is left out.
func documents(text []byte) []lab.Object {
	var out []lab.Object
	for _, d := range regexp.MustCompile(`(?m)^---.*$`).Split(string(text), -1) {
		var o lab.Object
		if yaml.Unmarshal([]byte(d), &o) == nil && len(o) > 0 {
			out = append(out, o)
		}
	}
	return out
}

// candidates are the objects that exported policies are compared on: the samples of
// rules, each with what it takes the place of, and the inputs of golden cases.
func candidates(t *testing.T) (objects, previous []lab.Object) {
	t.Helper()
	seen := map[string]bool{}
	add := func(o lab.Object) {
		if text, _ := json.Marshal(o); !seen[string(text)] {
			seen[string(text)] = true
			objects = append(objects, o)
		}
	}
	err := fs.WalkDir(policies.Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".yaml" {
			return err
		}
		text, err := fs.ReadFile(policies.Files(), name)
		for _, o := range documents(text) {
			if path.Base(name) == "previous.yaml" {
				previous = append(previous, o)
				continue
			}
			add(o)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../cases/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range txtar.Parse(text).Files {
			if path.Dir(f.Name) == "in" && path.Ext(f.Name) == ".yaml" {
				for _, o := range documents(f.Data) {
					add(o)
				}
			}
		}
	}
	return objects, previous
}

// TestExport: exported policies say of every object on a real API server what the
// rules say in Rego and the front ends in Go.
func TestExport(t *testing.T) {
	lab.Need(t, lab.KubeAPIServer, lab.Etcd)
	rules := policies.New(policies.Shipped()...)
	said, unsaid := cel.Policies(rules)
	codes := map[report.Code]bool{}
	judged := map[string]bool{}
	for _, p := range said {
		codes[p.Code] = true
		for _, k := range p.Kinds {
			judged[k] = true
		}
	}
	if len(unsaid)+len(said)-4 != len(rules.Rules()) {
		t.Errorf("%d rules said and %d not, of %d", len(said)-4, len(unsaid), len(rules.Rules()))
	}
	l := lab.ForTest(t)
	k, err := l.StartKube()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Define(lab.OurCRDs, lab.GatewayAPICRDs); err != nil {
		t.Fatal(err)
	}
	objects, previous := candidates(t)
	for _, o := range slices.Concat(objects, previous) {
		if ns := policies.NewObject(o).Ref.Namespace; ns != "" {
			_ = k.Apply(object(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+ns+"}}"))
		}
	}
	for _, o := range previous {
		if err := k.Apply(o); err != nil {
			t.Fatal(err)
		}
	}
	var out, talk bytes.Buffer
	if code := cli.Main([]string{"policy", "export", "--as", "validatingadmissionpolicy"}, nil, &out, &talk); code != 0 {
		t.Fatal(talk.String())
	}
	for _, o := range documents(out.Bytes()) {
		if o["kind"] == "ValidatingAdmissionPolicyBinding" && o["spec"].(lab.Object)["policyName"] != "meshknot-smi-no-sources" {
			o["spec"].(lab.Object)["validationActions"] = []any{"Warn"} // to be told of all, also of what denies
		}
		if err := k.Apply(o); err != nil {
			t.Fatal(err)
		}
	}
	bad := object(t, with(split, "weight: 90", "weight: 0", "weight: 10", "weight: 0"))
	if err := l.Eventually("policies that are in force", 60*time.Second, func() bool {
		warnings, err := k.DryRun(bad)
		return err == nil && strings.Contains(strings.Join(warnings, " "), "MK2005") && strings.Contains(strings.Join(warnings, " "), "MKR004")
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.DryRun(object(t, with(grant, "sources: [{kind: ServiceAccount, name: web, namespace: shop}]", "sources: []"))); err == nil ||
		!strings.Contains(err.Error(), "(MK2011)") {
		t.Errorf("an error does not deny: %v", err)
	}
	compared, found := 0, 0
	for _, o := range objects {
		ref := policies.NewObject(o).Ref
		if !judged[ref.Kind+"."+ref.Group] || ref.Name == "" {
			continue
		}
		warnings, err := k.DryRun(o)
		if err != nil && !strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
			continue // its schema does not take it, so no policy is asked
		}
		got := map[string]bool{}
		if err != nil {
			warnings = append(warnings, err.Error())
		}
		for _, w := range warnings {
			if strings.Contains(w, "resulted in error") {
				t.Errorf("%s: %s", ref, w)
			}
			for _, code := range regexp.MustCompile(`\((MKR?[0-9]+)\)`).FindAllStringSubmatch(w, -1) {
				got[code[1]] = true
			}
		}
		want := expected(t, rules, codes, o, previous)
		compared++
		found += len(want)
		for code := range codes {
			if got[string(code)] != want[code] {
				t.Errorf("%s: %s: CEL %v, Rego or Go %v: %v", ref, code, got[string(code)], want[code], o)
			}
		}
	}
	t.Logf("%d objects compared, %d findings", compared, found)
	if compared < 200 || found < 40 {
		t.Errorf("hardly anything was compared: %d objects, %d findings", compared, found)
	}
}

// expected are the codes of exported policies that rules and front ends find in an
// object that is alone.
func expected(t *testing.T, rules *policies.Engine, codes map[report.Code]bool, o lab.Object, previous []lab.Object) map[report.Code]bool {
	t.Helper()
	value := policies.NewObject(o)
	for _, p := range previous {
		if policies.NewObject(p).Ref == value.Ref {
			value.Previous = p
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	decoded, found := input.NewDecoder(input.Options{Schemas: all.Pipeline().Schemas()}).Decode(text)
	found = append(found, rules.Check(t.Context(), []policies.Object{value})...)
	found = append(found, engine.New(all.Pipeline(), nil, nil).Run(input.StoreOf([]input.Object{decoded}, input.Settings{})).Findings...)
	out := map[report.Code]bool{}
	for _, f := range found {
		if strings.Contains(f.Message, "in lowest terms") {
			continue // CEL finds no common divisor
		}
		if codes[f.Code] && f.Source.Object() == value.Ref {
			out[f.Code] = true
		}
	}
	return out
}

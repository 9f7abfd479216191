package migrate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

func parse(settings input.Settings, authorization string, files ...input.File) *Migration {
	p := all.Pipeline()
	set, _ := input.ReadFiles(files, input.Options{Schemas: p.Schemas()})
	m, _ := New(p, set, settings, translators.Target{Backend: Target, Options: map[string]string{authorizationOption: authorization}})
	return m
}

// Every golden case decides as before when it is migrated, but for what is left
// by hand or said to be up to the mesh.
func TestCasesVerify(t *testing.T) {
	cases, err := golden.Load("../../test/cases")
	if err != nil {
		t.Fatal(err)
	}
	compared, routes := 0, 0
	for _, one := range cases {
		var files []input.File
		for _, f := range one.Inputs {
			files = append(files, input.File{Name: f.Name, Data: f.Data})
		}
		m := parse(one.Settings, "", files...)
		c := m.Convert()
		proof, err := m.Verify(c)
		if err != nil {
			t.Fatal(err)
		}
		compared, routes = compared+proof.Requests, routes+len(c.Routes)
		announced(t, one.Name, c, proof)
	}
	if t.Logf("%d cases, %d routes, %d kinds of requests", len(cases), routes, compared); routes < len(cases)/3 || compared < 1000 {
		t.Errorf("only %d routes were made of %d cases, and %d kinds of requests compared", routes, len(cases), compared)
	}
}

// announced is explained, but for what is said to be up to the mesh.
func announced(t require, name string, c Conversion, p Proof) {
	for _, d := range p.Differ {
		if !slices.ContainsFunc(c.Found, func(f report.Finding) bool {
			open := f.Code == report.ByHand || strings.Contains(f.Message, "leaves open whether")
			return open && slices.ContainsFunc(d.Because, func(r report.Ref) bool {
				return r.Object() == f.Source.Object() || slices.ContainsFunc(f.Related, func(o report.Ref) bool { return o.Object() == r.Object() })
			})
		}) {
			t.Errorf("%s: %s\n  old: %s\n  new: %s\n  because of %v, of which nothing is said", name, Line(d.Request), d.Old, d.New, d.Because)
		}
	}
	for _, f := range p.Found {
		if f.Severity == report.Error {
			t.Errorf("%s: what was converted is in error: %s: %s", name, f.Source, f.Message)
		}
	}
}

// require is what tests of both kinds have.
type require interface {
	Errorf(format string, args ...any)
}

const services = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80}, {name: tcp-db, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-v1, namespace: shop}
spec: {selector: {app: web, v: "1"}, ports: [{name: http, port: 80}, {name: tcp-db, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-v2, namespace: shop}
spec: {selector: {app: web, v: "2"}, ports: [{name: http, port: 80}]}
`

// aPolicy draws splits of one Service, each with matches or without.
func aPolicy(t *rapid.T) string {
	var b strings.Builder
	for i := range rapid.IntRange(1, 3).Draw(t, "splits") {
		group := ""
		if rapid.IntRange(0, 4).Draw(t, "matches") > 0 {
			group = fmt.Sprintf("\n  matches: [{kind: HTTPRouteGroup, name: g%d}]", i)
			fmt.Fprintf(&b, "---\napiVersion: specs.smi-spec.io/v1alpha4\nkind: HTTPRouteGroup\nmetadata: {name: g%d, namespace: shop}\nspec:\n  matches:\n", i)
			for k := range rapid.IntRange(1, 2).Draw(t, "group") {
				fmt.Fprintf(&b, "  - {name: m%d, %s}\n", k, rapid.SampledFrom([]string{
					`pathRegex: "/api"`, `pathRegex: "/api$"`, `pathRegex: "/api/"`, `pathRegex: ".*[.]js$"`, `pathRegex: "/api/v[0-9]+$"`, `pathRegex: "/"`,
					`methods: [GET]`, `methods: [GET, PUT]`, `pathRegex: "/api$", methods: [POST]`, `pathRegex: "/other", methods: [GET]`,
					`headers: [{x-a: "1"}]`, `headers: [{x-a: ".*"}]`, `headers: [{x-a: "1"}, {x-b: "2.*"}]`, `pathRegex: "/api$", headers: [{x-b: "2"}]`,
				}).Draw(t, "match"))
			}
		}
		fmt.Fprintf(&b, "---\napiVersion: split.smi-spec.io/v1alpha4\nkind: TrafficSplit\nmetadata: {name: s%d, namespace: shop}\nspec:\n  service: web%s\n  backends:\n", i, group)
		for _, name := range []string{"web", "web-v1", "web-v2", "gone"} {
			if rapid.Bool().Draw(t, name) {
				fmt.Fprintf(&b, "  - {service: %s, weight: %d}\n", name, rapid.SampledFrom([]int{0, 1, 7, 50, 2_500_000, 3_000_001}).Draw(t, "weight"))
			}
		}
		b.WriteString("  - {service: web-v1x, weight: 1}\n")
	}
	return b.String()
}

// Whatever is split, its conversion is read back to the same decisions.
func TestSplitsVerify(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := aPolicy(t)
		m := parse(input.Settings{}, "", input.File{Name: "services.yaml", Data: []byte(services)}, input.File{Name: "policy.yaml", Data: []byte(text)})
		c := m.Convert()
		proof, err := m.Verify(c)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if announced(t, text, c, proof); proof.Requests == 0 {
			t.Fatalf("nothing was compared:\n%s", text)
		}
	})
}

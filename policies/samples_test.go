package policies

import (
	"fmt"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"

	"github.com/meshknot/meshknot/translators/report"
)

// TestNearMissIsNear: a near miss is the failing sample with little changed, or
// it would show less than it claims.
func TestNearMissIsNear(t *testing.T) {
	for _, r := range New(Shipped()...).Rules() {
		folder := path.Dir(r.File)
		fail, err := readSample(Files(), folder, "fail")
		if err != nil {
			t.Fatal(err)
		}
		near, err := readSample(Files(), folder, "near-miss")
		if err != nil {
			t.Fatal(err)
		}
		a, b := leavesOf(fail.objects), leavesOf(near.objects)
		different := 0
		for leaf := range a {
			if !b[leaf] {
				different++
			}
		}
		for leaf := range b {
			if !a[leaf] {
				different++
			}
		}
		if different == 0 || different > 8 || len(fail.objects) != len(near.objects) {
			t.Errorf("%s: the near miss differs in %d values", r.Name, different)
		}
	}
}

// leavesOf lists the scalars of objects with their paths.
func leavesOf(objects []Object) map[string]bool {
	leaves := map[string]bool{}
	var walk func(at string, value any)
	walk = func(at string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for key, inner := range v {
				walk(at+"."+key, inner)
			}
		case []any:
			for i, inner := range v {
				walk(fmt.Sprintf("%s[%d]", at, i), inner)
			}
		default:
			leaves[fmt.Sprintf("%s=%v", at, v)] = true
		}
	}
	for i, o := range objects {
		walk(fmt.Sprint(i), o.Value)
	}
	return leaves
}

// TestEveryPathFires: each body of a rule finds something in its failing sample,
// so that the sample shows all that the rule is about.
func TestEveryPathFires(t *testing.T) {
	p := *compile(Shipped(), false)
	for _, en := range p.entries {
		tracer := cover.New()
		p.tracer = tracer
		s, err := readSample(Files(), path.Dir(en.rule.File), "fail")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.checkSample(t.Context(), s, []entry{en}); err != nil {
			t.Fatal(err)
		}
		ran := tracer.Report(p.modules).Files[en.rule.File]
		for _, rule := range p.modules[en.rule.File].Rules {
			last := rule.Body[len(rule.Body)-1].Location.Row
			if ran == nil || entryName(rule) == en.rule.Entry && !ran.IsCovered(last) {
				t.Errorf("%s:%d finds nothing in the failing sample", en.rule.File, rule.Location.Row)
			}
		}
	}
}

// TestParametersAreDocumented: what a rule reads is what its METADATA declares,
// with the same default.
func TestParametersAreDocumented(t *testing.T) {
	e := New(Shipped()...)
	for _, r := range e.Rules() {
		declared := map[string]string{}
		for _, p := range r.Parameters {
			v, err := ast.InterfaceToValue(p.Default)
			if err != nil {
				t.Fatal(err)
			}
			declared[p.Name] = v.String()
		}
		read := map[string]string{}
		module := e.plan().modules[r.File]
		ast.NewGenericVisitor(func(x any) bool {
			var terms []*ast.Term
			switch x := x.(type) {
			case ast.Call:
				terms = x
			case *ast.Expr:
				if x.IsCall() {
					terms = append([]*ast.Term{x.OperatorTerm()}, x.Operands()...)
				}
			}
			if len(terms) >= 3 && terms[0].Value.String() == "lib.parameter" {
				read[string(terms[1].Value.(ast.String))] = terms[2].Value.String()
			}
			return false
		}).Walk(module)
		if !reflect.DeepEqual(declared, read) {
			t.Errorf("%s declares parameters %v and reads %v", r.Name, declared, read)
		}
	}
}

func source(t *testing.T, file string) string {
	t.Helper()
	for _, m := range Shipped() {
		if m.File == file {
			return string(m.Source)
		}
	}
	t.Fatalf("no file %s", file)
	return ""
}

// TestKindsAreComplete: the kinds that METADATA lists are those that the rule
// finds something in, for a rule is evaluated on no others. Each kind that a
// rule asks for by name has to be among them.
func TestKindsAreComplete(t *testing.T) {
	for _, r := range New(Shipped()...).Rules() {
		for _, k := range r.Kinds {
			kind, group, _ := strings.Cut(k, ".")
			if !r.concerns(report.Ref{Group: group, Kind: kind}) || r.concerns(report.Ref{Group: group + "x", Kind: kind}) {
				t.Errorf("%s does not concern %s", r.Name, k)
			}
		}
		text := source(t, r.File)
		for _, call := range strings.SplitAfter(text, "lib.is_a(")[1:] {
			args, _, _ := strings.Cut(call, ")")
			group, kind, _ := strings.Cut(strings.ReplaceAll(args, `"`, ""), ", ")
			group = strings.ReplaceAll(group, "route.group", "gateway.networking.k8s.io")
			if kind != "kind" && !r.concerns(report.Ref{Group: group, Kind: kind}) {
				t.Errorf("%s asks for %s of %s, which its METADATA does not list", r.Name, kind, group)
			}
		}
	}
}

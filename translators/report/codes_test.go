package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// constants returns the values of all constants of type Code in codes.go.
func constants(t *testing.T) []Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Code" {
			return true
		}
		for _, v := range spec.Values {
			s, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, Code(s))
		}
		return true
	})
	if len(out) < 50 {
		t.Fatalf("only %d constants found: the test does not read codes.go rightly", len(out))
	}
	return out
}

func TestEveryConstantHasOneRow(t *testing.T) {
	var rows []Code
	for _, r := range Codes() {
		rows = append(rows, r.Code)
	}
	want := constants(t)
	slices.Sort(want)
	if !slices.Equal(rows, want) {
		t.Errorf("the table's codes, which must be sorted, differ from the constants:\ntable     %v\nconstants %v", rows, want)
	}
}

func TestRowsAreComplete(t *testing.T) {
	for _, r := range Codes() {
		sentences := strings.Count(r.Explain+" ", ". ")
		switch {
		case r.Severity.Rank() < 0:
			t.Errorf("%s has the severity %q", r.Code, r.Severity)
		case r.Title == "" || strings.HasSuffix(r.Title, "."):
			t.Errorf("%s has the title %q", r.Code, r.Title)
		case r.Hint == "" && r.Severity != Info || strings.HasSuffix(r.Hint, "."):
			t.Errorf("%s has the hint %q", r.Code, r.Hint)
		case sentences < 1 || sentences > 5 || !strings.HasSuffix(r.Explain, "."):
			t.Errorf("%s is explained in %d sentences", r.Code, sentences)
		}
	}
}

func TestRowOfUnknownCode(t *testing.T) {
	if got := Code("MK9999").Row(); got.Severity != Error || got.Code != "MK9999" {
		t.Errorf("got %+v", got)
	}
}

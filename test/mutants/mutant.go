package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one change to one file.
type mutant struct {
	file, pkg string
	line      int
	function  string
	kind      string // "row", "condition" or "empty"
	from, to  int    // byte offsets of what is replaced
	text      string
}

func (m mutant) name() string { return fmt.Sprintf("%s:%d %s %s", m.file, m.line, m.function, m.kind) }

// key names a mutant in survivors.txt; it does not change when lines move.
func (m mutant) key() string { return fmt.Sprintf("%s:%s:%s", m.file, m.function, m.kind) }

// find lists the mutants of the packages below translators, in order of file.
func find(packages []string) ([]mutant, error) {
	var out []mutant
	for _, p := range packages {
		files, err := filepath.Glob("translators/" + p + "/*.go")
		if err != nil {
			return nil, err
		}
		slices.Sort(files)
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			found, err := inFile(f)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
	}
	return out, nil
}

func inFile(file string) ([]mutant, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, file, src, 0)
	if err != nil {
		return nil, err
	}
	s := search{file: file, src: src, fset: fset}
	for _, d := range tree.Decls {
		s.function = "table"
		if f, ok := d.(*ast.FuncDecl); ok {
			s.function = f.Name.Name
			s.empty(f)
		}
		ast.Inspect(d, s.visit)
	}
	return s.found, nil
}

type search struct {
	file     string
	src      []byte
	fset     *token.FileSet
	function string
	found    []mutant
}

func (s *search) offset(p token.Pos) int { return s.fset.Position(p).Offset }

func (s *search) add(kind string, from, to token.Pos, text string) {
	s.found = append(s.found, mutant{
		file: s.file, pkg: "./" + filepath.Dir(s.file), line: s.fset.Position(from).Line, function: s.function,
		kind: kind, from: s.offset(from), to: s.offset(to), text: text,
	})
}

func (s *search) source(n ast.Node) string { return string(s.src[s.offset(n.Pos()):s.offset(n.End())]) }

// empty makes a function return zero values at once.
func (s *search) empty(f *ast.FuncDecl) {
	if f.Body == nil || len(f.Body.List) == 0 {
		return
	}
	var zero []string
	if f.Type.Results != nil {
		for _, r := range f.Type.Results.List {
			for range max(len(r.Names), 1) {
				zero = append(zero, "*new("+s.source(r.Type)+")")
			}
		}
	}
	at := f.Body.Lbrace + 1
	s.add("empty", at, at, "\nreturn "+strings.Join(zero, ", ")+"\n")
}

var flipped = map[string]string{
	"report.Exact": "report.Dropped", "report.Relocated": "report.Exact", "report.Approximated": "report.Exact",
	"report.Narrowed": "report.Exact", "report.Dropped": "report.Exact", "report.Widened": "report.Exact",
}

func (s *search) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		s.add("condition", n.Cond.Pos(), n.Cond.End(), "false && ("+s.source(n.Cond)+")")
	case *ast.SelectorExpr:
		if to, ok := flipped[s.source(n)]; ok && strings.HasSuffix(s.file, "supports.go") {
			s.add("row", n.Pos(), n.End(), to)
		}
	}
	return true
}

// outcome of trying a mutant.
type outcome string

const (
	caughtByTests outcome = "caught"
	survived      outcome = "SURVIVED"
	invalid       outcome = "invalid" // it does not compile, so it says nothing
)

// try runs the package's own tests, then the golden cases, on a mutant.
func try(m mutant) outcome {
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return invalid
	}
	defer os.RemoveAll(dir)
	src, err := os.ReadFile(m.file)
	if err != nil {
		return invalid
	}
	mutated := slices.Concat(src[:m.from], []byte(m.text), src[m.to:])
	overlay, err := writeOverlay(dir, m.file, mutated)
	if err != nil {
		return invalid
	}
	if !run("build", "-overlay", overlay, m.pkg) {
		return invalid
	}
	for _, args := range [][]string{{m.pkg}, {"-run", "TestCases", "./test/golden"}, {"./test/golden", "./translators/all", "./internal/cli"}} {
		if !run(append([]string{"test", "-overlay", overlay, "-failfast", "-timeout", "120s"}, args...)...) {
			return caughtByTests
		}
	}
	return survived
}

func writeOverlay(dir, file string, content []byte) (string, error) {
	replacement := filepath.Join(dir, "mutated.go")
	if err := os.WriteFile(replacement, content, 0o600); err != nil {
		return "", err
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {abs: replacement}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

func run(args ...string) bool { return exec.Command("go", args...).Run() == nil }

package policies

import (
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/meshknot/meshknot/translators/report"
)

// refused lists what OPA offers and a rule may not call.
func refused(t *testing.T) []*ast.Builtin {
	t.Helper()
	var builtins []*ast.Builtin
	for _, b := range ast.CapabilitiesForThisVersion().Builtins {
		if !slices.Contains(allowed, b.Name) {
			builtins = append(builtins, b)
		}
	}
	return builtins
}

// TestForbiddenBuiltins loads a rule for each forbidden function, in a call and
// in the place of an allowed one, and sees that only that rule is refused.
func TestForbiddenBuiltins(t *testing.T) {
	for _, b := range refused(t) {
		arguments := make([]string, b.Decl.Arity())
		for i := range arguments {
			arguments[i] = "input"
		}
		call := fmt.Sprintf("%s(%s)", b.Name, strings.Join(arguments, ", "))
		tests := []struct {
			name, body string
			line       int
		}{
			{name: "call", body: "deny contains \"x\" if {\n\t" + call + "\n}", line: 4},
			{name: "nested call", body: "deny contains \"x\" if {\n\tx := [y | y := {\"a\": " + call + "}]\n\tcount(x) > 0\n}", line: 4},
			{name: "with", body: "deny contains \"x\" if {\n\tjson.marshal(input) with json.marshal as " + b.Name + "\n}", line: 4},
		}
		for _, tt := range tests {
			t.Run(b.Name+" "+tt.name, func(t *testing.T) {
				if tt.name == "nested call" && b.Decl.Result() == nil {
					t.Skip("gives no value")
				}
				e := New(module("bad.rego", "package bad\n\n"+tt.body), module("good.rego", "package good\ndeny contains \"good\""))
				problems := e.Problems()
				if len(problems) != 1 {
					t.Fatalf("got %+v", problems)
				}
				f := problems[0]
				if f.Code != report.PolicyForbidden || f.Severity != report.Error || f.At.File != "bad.rego" || f.At.Line != tt.line {
					t.Errorf("got %+v", f)
				}
				if !strings.HasPrefix(f.Message, b.Name+" is not allowed") {
					t.Errorf("message does not name the function: %q", f.Message)
				}
				got := e.Check(t.Context(), []Object{split("a")})
				if len(got) != 2 || !slices.ContainsFunc(got, func(f report.Finding) bool { return f.Message == "good: good" }) {
					t.Errorf("the other rule is not in force: %+v", got)
				}
			})
		}
	}
}

// TestForbiddenByName names the classes that must stay forbidden, so that the
// list of what is allowed cannot grow by mistake.
func TestForbiddenByName(t *testing.T) {
	for _, name := range []string{"http.send", "opa.runtime", "rego.parse_module", "trace", "time.now_ns", "rand.intn",
		"uuid.rfc4122", "json.match_schema", "json.verify_schema", "bits.lsh", "io.jwt.decode_verify", "crypto.parse_private_keys"} {
		if slices.Contains(allowed, name) {
			t.Errorf("%s is allowed", name)
		}
	}
	for _, b := range ast.CapabilitiesForThisVersion().Builtins {
		if slices.Contains(allowed, b.Name) && (b.IsNondeterministic() || strings.HasPrefix(b.Name, "net.")) {
			t.Errorf("%s is allowed", b.Name)
		}
	}
}

func TestAllowedExist(t *testing.T) {
	for i, name := range allowed {
		if _, ok := ast.BuiltinMap[name]; !ok {
			t.Errorf("OPA has no function %s", name)
		}
		if slices.Contains(allowed[:i], name) {
			t.Errorf("%s is listed twice", name)
		}
	}
}

// TestCapabilities: what the walk over the module might miss, the compiler does
// not know.
func TestCapabilities(t *testing.T) {
	m := ast.MustParseModule("package x\n\np if http.send({\"url\": \"http://example.com\"})")
	c := ast.NewCompiler().WithCapabilities(capabilities())
	if c.Compile(map[string]*ast.Module{"x": m}); !c.Failed() {
		t.Error("the compiler knows http.send")
	}
}

// TestNamesLikeBuiltins: a function or variable of the rule's own may look like
// one of OPA's.
func TestNamesLikeBuiltins(t *testing.T) {
	e := New(module("r.rego", `package main
		deny contains "x" if {
			http := {"send": true}
			http.send
			input.opa.runtime
			trace(1)
		}
		trace(n) if n == 1`))
	for _, f := range e.Problems() {
		if strings.HasPrefix(f.Message, "http.send") || strings.HasPrefix(f.Message, "input.opa") {
			t.Errorf("refused though no function is called: %+v", f)
		}
	}
}

func TestProblems(t *testing.T) {
	type problem struct {
		code    report.Code
		at      string
		message string
	}
	tests := []struct {
		name    string
		modules []Module
		rules   []string
		want    []problem
	}{
		{
			name:    "does not parse",
			modules: []Module{module("a.rego", "package a\n\ndeny contains \"x\" if {"), module("b.rego", "package b\ndeny contains \"b\"")},
			rules:   []string{"b"},
			want:    []problem{{"MK4002", "a.rego:3:22", "unexpected"}},
		}, {
			name:    "empty file",
			modules: []Module{module("a.rego", ""), module("b.rego", "package b\ndeny contains \"b\"")},
			rules:   []string{"b"},
			want:    []problem{{"MK4002", "a.rego:0:0", "empty module"}},
		}, {
			name:    "wrong type",
			modules: []Module{module("a.rego", "package a\n\ndeny contains \"x\" if count(7) > 1")},
			want:    []problem{{"MK4002", "a.rego:3:22", "count: invalid argument(s)"}},
		}, {
			name:    "unsafe variable",
			modules: []Module{module("a.rego", "package a\n\ndeny contains x if input.y")},
			want:    []problem{{"MK4002", "a.rego:3:15", "var x is unsafe"}},
		}, {
			name:    "recursion",
			modules: []Module{module("a.rego", "package a\n\ndeny contains \"x\" if p\np if q\nq if p"), module("b.rego", "package b\ndeny contains \"b\"")},
			rules:   []string{"b"},
			want:    []problem{{"MK4002", "a.rego:4:1", "recursive"}, {"MK4002", "a.rego:5:1", "recursive"}},
		}, {
			name:    "data that does not exist",
			modules: []Module{module("a.rego", "package a\n\nimport data.secrets\n\ndeny contains \"x\" if secrets.open"), module("b.rego", "package b\ndeny contains \"b\"")},
			rules:   []string{"b"},
			want:    []problem{{"MK4002", "a.rego:5:22", "data.secrets.open does not exist"}},
		}, {
			name: "what needs a refused module falls with it",
			modules: []Module{
				module("lib.rego", "package team.lib\n\nopen if http.send({})"),
				module("uses.rego", "package uses\n\nimport data.team.lib\n\ndeny contains \"x\" if not lib.open"),
				module("free.rego", "package free\n\ndeny contains \"x\""),
			},
			rules: []string{"free"},
			want:  []problem{{"MK4004", "lib.rego:3:9", "http.send is not allowed"}, {"MK4002", "uses.rego:5:26", "data.team.lib.open does not exist"}},
		}, {
			name:    "two files of one name",
			modules: []Module{module("a.rego", "package a\ndeny contains \"x\""), module("a.rego", "package b\ndeny contains \"b\"")},
			want:    []problem{{"MK4002", "a.rego:0:0", "two files of this name differ"}},
		}, {
			name:    "one file twice",
			modules: []Module{module("a.rego", "package a\ndeny contains \"x\""), module("a.rego", "package a\ndeny contains \"x\"")},
			rules:   []string{"a"},
		}, {
			name:    "nothing to evaluate",
			modules: []Module{module("a.rego", "package a\nallow if input.x")},
			want:    []problem{{"MK4002", ":0:0", "nothing would be checked"}},
		}, {
			name:    "a function is not a rule to evaluate",
			modules: []Module{module("a.rego", "package a\ndeny(x) if x == 1\nwarn contains \"w\"")},
			rules:   []string{"a"},
		}, {
			name:    "tests are left out",
			modules: []Module{module("a.rego", "package a\ndeny contains \"x\""), module("a_test.rego", "package a\nthis is no Rego")},
			rules:   []string{"a"},
		}, {
			name:    "code of another form",
			modules: []Module{module("a.rego", "# METADATA\n# custom: {code: my-code}\npackage a\ndeny contains \"x\"")},
			want:    []problem{{"MK4002", "a.rego:4:1", `custom.code of a is "my-code"`}},
		}, {
			name:    "code of meshknot's own table",
			modules: []Module{module("a.rego", "# METADATA\n# custom: {code: MK2005}\npackage a\ndeny contains \"x\"")},
			want:    []problem{{"MK4002", "a.rego:4:1", `custom.code of a is "MK2005"`}},
		}, {
			name:    "unknown severity",
			modules: []Module{module("a.rego", "# METADATA\n# custom: {severity: fatal}\npackage a\ndeny contains \"x\"")},
			want:    []problem{{"MK4002", "a.rego:4:1", `custom.severity of a is "fatal"`}},
		}, {
			name: "parameters, and the object at the wrong place",
			modules: []Module{module("a.rego", "package a\n\nimport data.lib.meshknot as lib\n\ndeny contains \"x\" if {\n\tinput.kind == \"TrafficSplit\"\n\tlib.parameter(\"n\", 1) == 1\n}"),
				module("b.rego", "package b\n\nimport data.lib.meshknot as lib\n\ndeny contains \"b\" if {\n\tinput.review.object.kind\n\tlib.parameter(\"n\", 1) == 1\n}")},
			rules: []string{"b"},
			want:  []problem{{"MK4002", "a.rego:5:1", "a reads input.kind, but a rule with parameters"}},
		}, {
			name:    "kinds are no list",
			modules: []Module{module("a.rego", "# METADATA\n# custom: {kinds: TrafficSplit}\npackage a\ndeny contains \"x\"")},
			want:    []problem{{"MK4002", "a.rego:4:1", "custom.kinds of a: a list of kinds is wanted"}},
		}, {
			name:    "no kind",
			modules: []Module{module("a.rego", "# METADATA\n# custom: {kinds: [split.smi-spec.io/TrafficSplit]}\npackage a\ndeny contains \"x\"")},
			want:    []problem{{"MK4002", "a.rego:4:1", "split.smi-spec.io/TrafficSplit is no kind"}},
		}, {
			name:    "parameters are no object",
			modules: []Module{module("a.rego", "# METADATA\n# custom: {parameters: [x]}\npackage a\ndeny contains \"x\"")},
			want:    []problem{{"MK4002", "a.rego:4:1", "custom.parameters of a: [x] is no object"}},
		}, {
			name:    "default of another type",
			modules: []Module{module("a.rego", "# METADATA\n# custom: {parameters: {x: {type: number, default: many, description: d}}}\npackage a\ndeny contains \"x\"")},
			want:    []problem{{"MK4002", "a.rego:4:1", "the default of x: many is not of type number"}},
		}, {
			name:    "unknown type",
			modules: []Module{module("a.rego", "# METADATA\n# custom: {parameters: {x: {type: int, default: 1, description: d}}}\npackage a\ndeny contains \"x\"")},
			want:    []problem{{"MK4002", "a.rego:4:1", `"int" is no type`}},
		}, {
			name:    "parameter without a description",
			modules: []Module{module("a.rego", "# METADATA\n# custom: {parameters: {x: {type: number, default: 1}}}\npackage a\ndeny contains \"x\"")},
			want:    []problem{{"MK4002", "a.rego:4:1", "x has no description"}},
		}, {
			name:    "severity is no string",
			modules: []Module{module("a.rego", "# METADATA\n# custom: {severity: 1}\npackage a\ndeny contains \"x\"")},
			want:    []problem{{"MK4002", "a.rego:4:1", "custom.severity of a must be a string"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := New(tt.modules...)
			got := e.Problems()
			if len(got) != len(tt.want) {
				t.Fatalf("got %+v\nwant %+v", got, tt.want)
			}
			for i, w := range tt.want {
				at := fmt.Sprintf("%s:%d:%d", got[i].At.File, got[i].At.Line, got[i].At.Column)
				if got[i].Code != w.code || at != w.at || !strings.Contains(got[i].Message, w.message) || got[i].Severity != report.Error {
					t.Errorf("got %s %s %s\nwant %+v", at, got[i].Code, got[i].Message, w)
				}
			}
			var rules []string
			for _, r := range e.Rules() {
				rules = append(rules, r.Name)
			}
			if !slices.Equal(rules, tt.rules) {
				t.Errorf("got rules %q, want %q", rules, tt.rules)
			}
		})
	}
}

// TestManyProblems: every broken module is told, with its place.
func TestManyProblems(t *testing.T) {
	modules := []Module{module("good.rego", "package good\ndeny contains \"good\"")}
	for i := range 30 {
		modules = append(modules, module(fmt.Sprintf("%d.rego", i), fmt.Sprintf("package p%d\n\ndeny contains \"x\" if count(7) > 1", i)))
	}
	e := New(modules...)
	files := map[string]bool{}
	for _, f := range e.Problems() {
		files[f.At.File] = true
	}
	if len(files) != 30 || files[""] || len(e.Rules()) != 1 {
		t.Errorf("problems in %d files, %d rules in force: %+v", len(files), len(e.Rules()), e.Problems())
	}
}

func TestRules(t *testing.T) {
	e := New(module("a.rego", `# METADATA
# title: Package
# description: |
#   Said of all.
package meshknot.some_rule

# METADATA
# title: Rule
# custom: {code: TEAM01, hint: do}
deny contains "x" if input.a

deny contains "y" if input.b

warn contains "z"
`))
	want := []Rule{
		{Name: "some-rule", Package: "meshknot.some_rule", Entry: "deny", Title: "Rule", Description: "Said of all.",
			Code: "TEAM01", Severity: report.Error, Hint: "do", File: "a.rego", Line: 10},
		{Name: "some-rule", Package: "meshknot.some_rule", Entry: "warn", Title: "Package", Description: "Said of all.",
			Code: "MK4001", Severity: report.Warning, File: "a.rego", Line: 14},
	}
	if got := e.Rules(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLoad(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	many := fstest.MapFS{}
	for i := range maxModules + 1 {
		many[fmt.Sprintf("%d.rego", i)] = file("")
	}
	tests := []struct {
		name    string
		fsys    fstest.MapFS
		want    []string
		wantErr string
	}{
		{
			name: "below the folder, tests too, others not",
			fsys: fstest.MapFS{"a.rego": file(""), "x/y/b.rego": file(""), "x/b_test.rego": file(""), "data.json": file("{}"), ".git/c.rego": file("")},
			want: []string{"dir/a.rego", "dir/x/b_test.rego", "dir/x/y/b.rego"},
		},
		{name: "a pipe", fsys: fstest.MapFS{"a.rego": {Mode: fs.ModeNamedPipe}}, wantErr: "not a regular file"},
		{name: "too many", fsys: many, wantErr: "more than 2000 files"},
		{name: "no rules", fsys: fstest.MapFS{"data.json": file("{}")}, wantErr: `no .rego file in "dir"`},
		{name: "too large", fsys: fstest.MapFS{"a.rego": file(strings.Repeat(" ", maxModuleBytes+1))}, wantErr: "larger than"},
		{name: "a folder by that name", fsys: fstest.MapFS{"a.rego/b.rego": file("")}, want: []string{"dir/a.rego/b.rego"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			modules, err := Load(tt.fsys, "dir")
			if (err != nil) != (tt.wantErr != "") || (err != nil && !strings.Contains(err.Error(), tt.wantErr)) {
				t.Fatalf("got error %v, want %q", err, tt.wantErr)
			}
			var got []string
			for _, m := range modules {
				got = append(got, m.File)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

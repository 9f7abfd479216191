package input

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/report"
)

const positioned = `# a comment
apiVersion: split.example.io/v2
kind: Split
metadata:
  name: a
spec:
  service: "été" # é
  backends:
  - service: b
    weight: 1
  - {service: c, weight: 2}
  labels:
    plain: x
    a.b/c: w
    "quo\"te": z
  any: |
    --- text
    more
`

func TestPositions(t *testing.T) {
	set, found := readText(positioned, Limits{})
	if len(found) > 0 {
		t.Fatal(found)
	}
	for _, test := range []struct{ name, field, want string }{
		{"the object", "", "2:1"},
		{"a scalar", "spec.service", "7:12"},
		{"an object", "spec", "7:3"},
		{"a list", "spec.backends", "9:3"},
		{"an element", "spec.backends[1]", "11:5"},
		{"a field of an element", "spec.backends[0].weight", "10:13"},
		{"a field in flow style", "spec.backends[1].weight", "11:26"},
		{"a map's value", "spec.labels.plain", "13:12"},
		{"a quoted key", `spec.labels["a.b/c"]`, "14:12"},
		{"a key with a quote", `spec.labels["quo\"te"]`, "15:16"},
		{"a block scalar", "spec.any", "16:8"},
		{"a field that is not there", "spec.backends[0].port", "9:5"},
		{"an element that is not there", "spec.backends[7].weight", "9:3"},
		{"a parent that is not there", "status.phase", "2:1"},
		{"an index into an object", "spec[0]", "7:3"},
		{"a key of a scalar", "spec.service.x", "7:12"},
		{"no path", "[[", "2:1"},
		{"an empty step", "spec..service", "7:3"},
	} {
		p, ok := set.Locate(ID{"split.example.io", "Split", "default", "a"}.Ref(test.field))
		if got := fmt.Sprintf("%d:%d", p.Line, p.Column); !ok || got != test.want || p.File != "<stdin>" {
			t.Errorf("%s: %s is at %s of %q, want %s", test.name, test.field, got, p.File, test.want)
		}
	}
	if _, ok := set.Locate(report.Ref{Kind: "Split", Name: "b"}); ok {
		t.Error("an object that was not read has a position")
	}
}

func TestPositionsOfRejected(t *testing.T) {
	set, _ := readText(strings.Replace(positioned, "service: b", "service: 1", 1), Limits{})
	p, ok := set.Locate(ID{"split.example.io", "Split", "default", "a"}.Ref("spec.backends[0].service"))
	if !ok || p.Line != 9 || p.Column != 14 {
		t.Errorf("got %v", p)
	}
}

// The same document is at the same place however its lines end and in whatever
// stream it stands.
func TestPositionsInStreams(t *testing.T) {
	const head, body = "apiVersion: split.example.io/v2\nkind: Split\n", "metadata:\n  name: a\nspec:\n  service: x\n"
	for _, test := range []struct {
		name, text string
		line       int
	}{
		{"alone", head + body, 6},
		{"after a marker", "---\n" + head + body, 7},
		{"a marker with a comment", "a: b\n--- # next\n" + head + body, 8},
		{"after broken text", "\"a\n---\n" + head + body, 8},
		{"after a broken block scalar", "a: |\n  x\n y\n---\n" + head + body, 10},
		{"after an end marker", "a: b\n...\n# c\n" + head + body, 9},
		{"after a directive", "%YAML 1.1\n---\n" + head + body, 8},
		{"a directive after another document", "a: b\n...\n%YAML 1.1\n---\n" + head + body, 10},
		{"lines that end in CRLF", strings.ReplaceAll("a: b\n---\n"+head+body, "\n", "\r\n"), 8},
		{"after broken text whose lines end in CRLF", strings.ReplaceAll("\"a\n---\n"+head+body, "\n", "\r\n"), 8},
		{"a byte order mark", "\ufeff" + head + body, 6},
		{"a byte order mark in a marker line", "a: b\n\ufeff---\n" + head + body, 8},
		{"a byte order mark after a marker", "a: b\n...\n\ufeff" + head + body, 8},
		{"empty documents", "---\n---\n# none\n---\n" + head + body, 10},
		{"no newline at the end", strings.TrimSuffix(head+body, "\n"), 6},
	} {
		set, _ := readText(test.text, Limits{})
		p, ok := set.Locate(ID{"split.example.io", "Split", "default", "a"}.Ref("spec.service"))
		if !ok || p.Line != test.line || p.Column != 12 {
			t.Errorf("%s: at %v, want line %d column 12", test.name, p, test.line)
			continue
		}
		if line, ok := set.Excerpt(p); !ok || line != "  service: x" {
			t.Errorf("%s: the line is %q", test.name, line)
		}
	}
}

func TestExcerptOutside(t *testing.T) {
	set, _ := readText("a: b\n", Limits{})
	for _, p := range []report.Position{{File: "<stdin>"}, {File: "<stdin>", Line: 2}, {File: "other", Line: 1}, {File: "<stdin>", Line: -1}} {
		if line, ok := set.Excerpt(p); ok {
			t.Errorf("%v is %q", p, line)
		}
	}
}

func TestMergeKeysAndAliases(t *testing.T) {
	set, found := readText(start("a")+`spec:
  any: &both {service: x, share: 1}
  <<: *both
  service: own
  loose:
  - &h {headers: {a: b}}
  - *h
  - <<: [*h, *both]
    share: 2
`, Limits{})
	// The loose elements take no share: that shows what was merged into them.
	want := []string{"MK1002 5:15 spec.loose[2].service", "MK1002 12:5 spec.loose[2].share"}
	if got := told(found); !slices.Equal(got, want) {
		t.Fatalf("findings %q, want %q", got, want)
	}
	w := set.Rejected[0].Value.(*splitWire)
	if w.Spec.Service != "own" || w.Spec.Share != 1 || len(w.Spec.Loose) != 3 || w.Spec.Loose[2].Headers.A != "b" {
		t.Errorf("got %+v", w.Spec)
	}
}

func TestJSONInput(t *testing.T) {
	const object = `{
	"apiVersion": "split.example.io/v2", "kind": "Split",
	"metadata": {"name": "NAME", "annotations": {"meshknot.io/x": "\ud83d\ude00\/"}},
	"spec": {"é": 1, "share": 1e2, "service": true}
}`
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"one", strings.ReplaceAll(object, "NAME", "a"), []string{`MK1002 4:11 spec["é"]`, "MK1003 4:44 spec.service"}},
		{"several in a row", strings.ReplaceAll(object, "NAME", "a") + " " + strings.ReplaceAll(object, "NAME", "b"), []string{
			`MK1002 4:11 spec["é"]`, "MK1003 4:44 spec.service", `MK1002 8:11 spec["é"]`, "MK1003 8:44 spec.service"}},
		{"between YAML", "a: b\n---\n" + strings.ReplaceAll(object, "NAME", "a"), []string{"MK1004 1:1 apiVersion", "MK1004 1:1 kind", `MK1002 6:11 spec["é"]`, "MK1003 6:44 spec.service"}},
		{"a duplicate key", `{"apiVersion":"split.example.io/v2","kind":"Split","kind":"Split","metadata":{"name":"a"}}`, []string{"MK1012 1:52"}},
		{"cut off", `{"apiVersion":"split.example.io/v2",`, []string{"MK1001 1:1"}},
		{"broken after the first", `{"apiVersion":"v1","kind":"Secret"}` + "\n" + `{"apiVersion" "v1"}`, []string{"MK1007 1:1", "MK1001 2:15"}},
		{"a list", "[]", []string{"MK1001 1:1"}},
		{"YAML in braces", `{apiVersion: v1, kind: Secret} # not JSON`, []string{"MK1013 0:0", "MK1007 1:1"}},
	} {
		_, found := readText(test.text, Limits{})
		if got := told(found); !slices.Equal(got, test.want) {
			t.Errorf("%s: findings %q, want %q", test.name, got, test.want)
		}
	}
	set, _ := readText(strings.ReplaceAll(object, "NAME", "a"), Limits{})
	if got := set.Rejected[0].Annotations["meshknot.io/x"]; got != "😀/" {
		t.Errorf("annotation %q", got)
	}
}

func TestFieldPaths(t *testing.T) {
	for _, test := range []struct {
		name, path, want string
		steps            []step
	}{
		{"a field", Field("", "spec"), "spec", []step{{key: "spec"}}},
		{"an element", Element(Field("spec", "backends"), 3), "spec.backends[3]", []step{{key: "spec"}, {key: "backends"}, {index: 3}}},
		{"a key with dots", Field("a", "b.c/d"), `a["b.c/d"]`, []step{{key: "a"}, {key: "b.c/d"}}},
		{"a key with brackets and quotes", Field("a", `]"\`), `a["]\"\\"]`, []step{{key: "a"}, {key: `]"\`}}},
		{"after a quoted key", Field(Field("a", "b.c"), "d"), `a["b.c"].d`, []step{{key: "a"}, {key: "b.c"}, {key: "d"}}},
	} {
		if test.path != test.want || !slices.Equal(steps(test.path), test.steps) {
			t.Errorf("%s: %s in steps %v, want %s in steps %v", test.name, test.path, steps(test.path), test.want, test.steps)
		}
	}
}

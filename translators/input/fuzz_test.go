package input

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/report"
)

// FuzzRead checks the laws of Read on whatever text: no panic, every finding has
// a place within the text, every object is located, an object is either good or
// rejected, and without objects something is said.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		positioned, start("a") + "spec: {service: a, backends: [{service: b, weight: 1}]}\n---\n" + start("a"),
		`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"split.example.io/v1","kind":"Split","metadata":{"name":"a"}}]}`,
		"a: &a [*a]\n<<: *a\n", "%YAML 1.1\n---\n...\n--- |\n x\n", "\ufeff# c\r\n---\r\na: 'b\r\n", "{\"a\":\n\t[1e400, .inf, 0x1]}",
		"apiVersion: split.example.io/v2\nkind: SplitList\nitems:\n- metadata: {name: y, labels: {<<: {}, 1: 2}}\n- ~\n- []\n",
		"? [a]\n: b\n", "- - - -\n", "&x a: *x\n", "!!binary x: !!int y\n", "a: b\rc: d\u0085---\u2028",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, found := readText(text, Limits{FileBytes: 1 << 16, Aliases: 1000, Objects: 1000})
		for _, part := range split([]byte(text)) {
			n := 0
			for _, p := range parse(part, Limits{}.withDefaults(), false) {
				n += p.values
			}
			if n > part.most() && !strings.Contains(text, "*") {
				t.Errorf("%q has %d values, at most %d were expected", part.text, n, part.most())
			}
		}
		broken := false
		for _, x := range found {
			broken = broken || x.Severity == report.Error
			if x.At.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+strings.Count(text, "\u0085")+strings.Count(text, "\u2028")+strings.Count(text, "\u2029")+2 {
				t.Errorf("%v is behind the end", x.At)
			}
		}
		seen := map[ID]bool{}
		for _, o := range set.Objects {
			if p, ok := set.Locate(o.Ref("spec")); !ok || p.Line < 1 || p.Column < 1 || o.Rejected || seen[o.ID] {
				t.Errorf("%+v is at %v", o, p)
			}
			seen[o.ID] = true
		}
		for _, o := range set.Rejected {
			if _, ok := set.Locate(o.Ref("")); !ok || !o.Rejected || seen[o.ID] || !broken {
				t.Errorf("%+v is rejected, findings %v", o, found)
			}
		}
		if len(set.Objects) == 0 && !broken {
			t.Error("nothing was read and nothing said")
		}
	})
}

// FuzzPath checks that a path names what it was made of.
func FuzzPath(f *testing.F) {
	f.Add("spec", "a.b/c", uint16(3))
	f.Add("", "]\"\\\n", uint16(0))
	f.Fuzz(func(t *testing.T, a, b string, i uint16) {
		if a == "" || b == "" || strings.ToValidUTF8(a+b, "") != a+b {
			return
		}
		path := Field(Element(Field("", a), int(i)), b)
		if got := steps(path); len(got) != 3 || got[0].key != a || got[1].index != int(i) || got[2].key != b {
			t.Errorf("%q has the steps %+v", path, got)
		}
	})
}

func BenchmarkRead1000(b *testing.B) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "---\n%sspec:\n  service: web\n  backends:\n", start(fmt.Sprintf("split-%d", i)))
		for j := range 4 {
			fmt.Fprintf(&text, "  - service: web-v%d\n    weight: %d\n", j, j)
		}
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		set, found := readText(text.String(), Limits{})
		if len(set.Objects) != 1000 || len(found) > 0 {
			b.Fatal(len(set.Objects), found)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	var objects []Object
	for i := range 10_000 {
		objects = append(objects, splitObject("shop", fmt.Sprintf("n%d", i), fmt.Sprintf("s%d", i%1000)))
	}
	s := StoreOf(objects, Settings{})
	s.Reader().Lookup(byService, "s0")
	for i := 0; b.Loop(); i++ { // s1 at first
		o := splitObject("shop", "n1", fmt.Sprintf("s%d", i%2))
		if c := s.Apply([]Edit{{o.ID, []Object{o}}}); len(c.Questions) == 0 {
			b.Fatal("nothing changed")
		}
	}
}

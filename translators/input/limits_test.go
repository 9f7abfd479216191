package input

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/translators/report"
)

func TestLimits(t *testing.T) {
	aliases := "a: &a [1, 2, 3]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n"
	for _, test := range []struct {
		name, text string
		limits     Limits
		says       string
		want       string // "" when the limit is kept
	}{
		{"a file at the limit", "a: b\n", Limits{FileBytes: 5}, "", ""},
		{"a file above it", "a: bc\n", Limits{FileBytes: 5}, "FileBytes = 5", "MK1009 0:0"},
		{"all together", "a: bc\n", Limits{TotalBytes: 5}, "TotalBytes = 5", "MK1009 0:0"},
		{"objects", strings.Repeat("---\n"+start("a"), 3), Limits{Objects: 2}, "Objects = 2", "MK1009 0:0"},
		{"items", "apiVersion: v1\nkind: List\nitems: [{}, {}, {}]\n", Limits{Objects: 3}, "Objects = 3", "MK1009 0:0"},
		{"values at the limit", "a: [b, c]\n---\nd: e\n", Limits{Values: 10}, "", ""},
		{"values above it", "a: [b, c]\n---\nd: e\n", Limits{Values: 9}, "Values = 9", "MK1009 2:1"},
		{"values of JSON", "{\"a\": [1, 2]}\n---\n- 1\n", Limits{Values: 9}, "Values = 9", "MK1009 2:1"},
		{"paths at the limit", start("a") + "spec: {service: x, backends: []}\n---\n" + start("b") + "spec: {share: 1}\n", Limits{PathBytes: 12 + 13 + 10}, "", ""},
		{"paths above it", start("a") + "spec: {service: x, backends: []}\n---\n" + start("b") + "spec: {share: 1}\n", Limits{PathBytes: 12 + 13 + 9}, "PathBytes = 34", "MK1009 6:1"},
		{"null documents", "--- ~\n--- ~\n--- ~\n", Limits{Objects: 2}, "Objects = 2", "MK1009 0:0"},
		{"broken documents", "--- [\n--- [\n--- [\n--- [\n", Limits{Objects: 2}, "Objects = 2", "MK1009 0:0"},
		{"depth at the limit", "a: [[b]]\n", Limits{Depth: 4}, "", ""},
		{"depth above it", "a: [[[b]]]\n", Limits{Depth: 4}, "Depth = 4", "MK1009 1:7"},
		{"depth of JSON", `{"a": [[["b"]]]}`, Limits{Depth: 4}, "Depth = 4", "MK1009 1:10"},
		{"depth through aliases", "a: &a [[1]]\nb: [[*a]]\n", Limits{Depth: 5}, "Depth = 5", "MK1009 1:9"},
		{"aliases at the limit", aliases, Limits{Aliases: 3*4 + 3*(1+3*4)}, "", ""},
		{"aliases above it", aliases, Limits{Aliases: 50}, "Aliases = 50", "MK1009 1:14"},
		{"bytes of aliases", "a: &a " + strings.Repeat("x", 100) + "\nb: [*a, *a, *a]\n", Limits{FileBytes: 200}, "FileBytes = 200", "MK1009 1:4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, found := readText(test.text, test.limits)
			i := slices.IndexFunc(told(found), func(s string) bool { return strings.HasPrefix(s, "MK1009") })
			switch {
			case i < 0 && test.want != "":
				t.Errorf("no limit was reached: %q", told(found))
			case i >= 0 && (told(found)[i] != test.want || !strings.Contains(found[i].Message, test.says)):
				t.Errorf("got %s %s, want %q %q", told(found)[i], found[i].Message, test.want, test.says)
			}
		})
	}
}

func TestLimitOfFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 4 {
		write(t, filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), start(fmt.Sprintf("n%d", i)))
	}
	set, found := Read([]string{dir}, Options{Schemas: schemas(), Limits: Limits{Files: 2}})
	if len(set.Objects) != 2 || len(found) != 1 || !strings.Contains(found[0].Message, "Files = 2") {
		t.Errorf("%d objects and %v", len(set.Objects), found)
	}
}

func TestLimitOfBytes(t *testing.T) {
	set, found := ReadFiles([]File{{"a", []byte(start("a"))}, {"b", []byte(start("b"))}, {"c", []byte(start("c"))}},
		Options{Schemas: schemas(), Limits: Limits{TotalBytes: int64(2*len(start("a"))) + 1}})
	if names(set.Objects) != "shop/a shop/b" || len(found) != 1 || !strings.Contains(found[0].Message, "TotalBytes") || found[0].At.File != "c" {
		t.Errorf("%v and %v", set.Objects, found)
	}
}

// An object whose paths have no room is rejected, and takes none from the others.
func TestLimitOfPaths(t *testing.T) {
	text := start("a") + "spec: {service: x, any: {" + strings.Repeat("k", 100) + ": [0, 0]}}\n---\n" + start("b") + "spec: {service: z}\n"
	set, found := readText(text, Limits{PathBytes: 100})
	if names(set.Objects) != "shop/b" || names(set.Rejected) != "shop/a" || len(found) != 1 {
		t.Fatalf("%v, rejected %v, and %v", set.Objects, set.Rejected, found)
	}
	if set.Rejected[0].Leaves != nil || set.Rejected[0].Value == nil || !slices.Equal(set.Objects[0].Leaves, []string{"spec.service"}) {
		t.Errorf("%+v and %+v", set.Rejected[0], set.Objects[0])
	}
	if _, found := readText(text, Limits{Values: math.MaxInt}); len(found) > 0 {
		t.Errorf("without a limit: %v", found)
	}
}

// Paths without measure are not made: neither those of an object that is rejected, nor
// those beyond the limit, nor where nobody asks for them.
func TestPathsWithoutMeasure(t *testing.T) {
	long := `{"` + strings.Repeat("k", 10_000) + `":[0` + strings.Repeat(",0", 20_000) + `]}` // 200 MB of paths
	document := func(spec string) string {
		return `{"apiVersion":"split.example.io/v2","kind":"Split","metadata":{"name":"a"},"spec":` + spec + `}`
	}
	decoder := NewDecoder(Options{Schemas: schemas()})
	for _, test := range []struct {
		name, want string
		read       func() report.Report
	}{
		{"rejected", "MK1002", func() report.Report {
			_, found := readText(document(long), Limits{})
			return found
		}},
		{"beyond the limit", "MK1009", func() report.Report {
			_, found := readText(document(`{"any":`+long+`}`), Limits{PathBytes: 1 << 20})
			return found
		}},
		{"of one object", "", func() report.Report {
			_, found := decoder.Decode([]byte(document(`{"any":` + long + `}`)))
			return found
		}},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		found := test.read()
		runtime.ReadMemStats(&after)
		if made := after.TotalAlloc - before.TotalAlloc; made > 50<<20 {
			t.Errorf("%s: %d MiB were allocated", test.name, made>>20)
		}
		if codes := told(found); len(codes) > 1 || len(codes) == 0 != (test.want == "") || len(codes) == 1 && !strings.HasPrefix(codes[0], test.want) {
			t.Errorf("%s: found %v", test.name, found)
		}
	}
}

// Hostile inputs end soon, with a finding.
func TestHostileInput(t *testing.T) {
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	for _, test := range []struct{ name, text string }{
		{"a billion laughs", laughs},
		{"laughs by merging", strings.ReplaceAll(laughs, "[*", "[<<: *")},
		{"deep flow", strings.Repeat("[", 200_000)},
		{"deep JSON", strings.Repeat(`{"a":`, 200_000)},
		{"deep blocks", strings.Repeat("- ", 100_000) + "x"},
		{"many documents", strings.Repeat("--- x\n", 300_000)},
		{"many empty documents", strings.Repeat("---\n", 1_000_000)},
		{"a long line", "a: " + strings.Repeat("x", 5<<20)},
		{"many keys", start("a") + "spec:\n  labels:\n" + manyKeys(100_000) + "x: 1\n"},
		{"many unknown fields", start("a") + "spec:\n" + strings.ReplaceAll(manyKeys(100_000), "    k", "  k")},
		{"many wrong types", start("a") + "spec:\n  labels:\n" + strings.ReplaceAll(manyKeys(100_000), ": v", ": 1")},
		{"many unknown kinds", strings.Repeat("---\napiVersion: split.example.io/v1\nkind: Splits\n", 20_000)},
		{"many objects of one name", sameName(5_000)},
		{"many values", "[" + strings.Repeat("[],", 5_000_000) + "]"},
		{"binary", string([]byte{0, 1, 2, 0xff, 0xfe})},
	} {
		t.Run(test.name, func(t *testing.T) {
			begun := time.Now()
			_, found := readText(test.text, Limits{})
			if len(found) == 0 {
				t.Error("nothing was found")
			}
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "    k%d: v\n", i)
	}
	return b.String()
}

func sameName(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "---\n%sspec: {service: s%d}\n", start("a"), i)
	}
	return b.String()
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

package input

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/meshknot/meshknot/translators/report"
)

// tree writes files, each with one Split of the file's name, and moves there.
func tree(t *testing.T, files ...string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, f := range files {
		name := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(f), filepath.Ext(f)), "*", "star")
		write(t, f, start(strings.Trim(name, ".")))
	}
}

func TestPaths(t *testing.T) {
	tree(t, "a.yaml", "d/b.yml", "d/c.json", "d/deep/e.yaml", "d/x.txt", "d/.hidden.yaml", "d/.git/f.yaml", "d/#g.yaml~", "odd/star*.yaml")
	if err := os.Symlink("../../a.yaml", "d/deep/link.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("d", "alias"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", "d/deep/dangling.yaml"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		paths []string
		want  string
		code  report.Code
		file  string
	}{
		{"a file", []string{"a.yaml"}, "a", "", ""},
		{"a file with another ending", []string{"d/x.txt"}, "x", "", ""},
		{"a hidden file", []string{"d/.hidden.yaml"}, "hidden", "", ""},
		{"a directory", []string{"d"}, "a b c e", report.UnreadableFile, "d/deep/dangling.yaml"},
		{"a linked directory", []string{"alias/"}, "a b c e", report.UnreadableFile, "alias/deep/dangling.yaml"},
		{"a glob", []string{"d/*.y*ml"}, "b", "", ""},
		{"a glob over directories", []string{"d/d*/e.yaml", "[a]*.yaml"}, "a e", "", ""},
		{"a glob that asks for hidden files", []string{"d/.h*"}, "hidden", "", ""},
		{"a glob over a hidden directory", []string{"d/*/*.yaml"}, "a e", report.UnreadableFile, "d/deep/dangling.yaml"},
		{"a name that looks like a glob", []string{"odd/star*.yaml"}, "starstar", "", ""},
		{"the same twice", []string{"a.yaml", "./a.yaml", "a.*"}, "a", "", ""},
		{"nothing there", []string{"a.yaml", "none.yaml"}, "a", report.UnreadableFile, "none.yaml"},
		{"a glob that matches nothing", []string{"z*.yaml"}, "", report.UnreadableFile, "z*.yaml"},
		{"a glob that is none", []string{"[a"}, "", report.UnreadableFile, "[a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			set, found := Read(test.paths, Options{Schemas: schemas()})
			if got := strings.ReplaceAll(names(set.Objects), "shop/", ""); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			switch {
			case test.code == "" && len(found) > 0, test.code != "" && len(found) != 1:
				t.Errorf("found %v", found)
			case test.code != "" && (found[0].Code != test.code || found[0].At.File != test.file):
				t.Errorf("found %v, want %s in %s", found, test.code, test.file)
			}
		})
	}
}

func TestEmptyDirectory(t *testing.T) {
	_, found := Read([]string{t.TempDir()}, Options{Schemas: schemas()})
	if len(found) != 1 || found[0].Code != report.NothingRead {
		t.Errorf("got %v", found)
	}
}

func TestStandardInput(t *testing.T) {
	_, found := Read([]string{"-"}, Options{Schemas: schemas(), Stdin: iotest.ErrReader(errors.New("broken pipe"))})
	if len(found) != 1 || found[0].Code != report.UnreadableFile || !strings.Contains(found[0].Message, "broken pipe") {
		t.Errorf("got %v", found)
	}
	set, found := Read([]string{"-", "-"}, Options{Schemas: schemas(), Stdin: iotest.OneByteReader(strings.NewReader(start("a")))})
	if names(set.Objects) != "shop/a" || len(found) > 0 {
		t.Errorf("got %v and %v", set.Objects, found)
	}
	if _, found := Read([]string{"-"}, Options{Schemas: schemas()}); len(found) != 1 || found[0].Code != report.NothingRead {
		t.Errorf("without standard input: %v", found)
	}
}

// What is read does not depend on the order of the paths.
func TestOrderOfPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "a.yaml", start("x")+"spec: {service: a}\n---\n"+start("z"))
	write(t, "b.yaml", start("x")+"spec: {service: b}\n---\n"+start("z"))
	one, foundOne := Read([]string{"a.yaml", "b.yaml"}, Options{Schemas: schemas()})
	two, foundTwo := Read([]string{"b.yaml", "a.yaml"}, Options{Schemas: schemas()})
	if strings.Join(told(foundOne), " ") != strings.Join(told(foundTwo), " ") || foundOne[0].Message != foundTwo[0].Message {
		t.Errorf("findings %v and %v", foundOne, foundTwo)
	}
	for i := range one.Rejected {
		a, b := one.Rejected[i].Value.(*splitWire), two.Rejected[i].Value.(*splitWire)
		if a.Spec.Service != b.Spec.Service {
			t.Errorf("rejected %d is %s and %s", i, a.Spec.Service, b.Spec.Service)
		}
	}
	p, _ := one.Locate(one.Objects[0].Ref(""))
	q, _ := two.Locate(two.Objects[0].Ref(""))
	if p != q || p.File != "a.yaml" {
		t.Errorf("z is at %v and %v", p, q)
	}
}

// The order of rejected objects does not depend on where they stand.
func TestOrderOfRejected(t *testing.T) {
	var documents []string
	for _, service := range []string{"a", "b", "c", "d"} {
		documents = append(documents, start("x")+"spec: {service: "+service+"}\n")
	}
	order := func() string {
		set, _ := readText(strings.Join(documents, "---\n"), Limits{})
		var out string
		for _, o := range set.Rejected {
			out += o.Value.(*splitWire).Spec.Service
		}
		return out
	}
	one := order()
	slices.Reverse(documents)
	if two := order(); one != two || len(one) != 4 {
		t.Errorf("%s and %s", one, two)
	}
}

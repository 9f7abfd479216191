package sink

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
)

func output(names ...string) []translators.Output {
	o := translators.Output{Target: translators.Target{Backend: "istio"}}
	for _, n := range names {
		o.Artifacts = append(o.Artifacts, translators.Artifact{
			ID:      translators.ID{Type: "networking.istio.io/v1/VirtualService", Name: n},
			Payload: map[string]any{"name": n},
		})
	}
	return []translators.Output{o}
}

func list(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, p); err == nil && !d.IsDir() {
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func TestDirectoryIsReplacedAsAWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "out")
	if n, err := Directory(dir, output("shop/a", "shop/b")); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := Directory(dir, output("shop/b", "shop/c")); err != nil {
		t.Fatal(err)
	}
	want := ".meshknot istio/virtualservice/shop/b.yaml istio/virtualservice/shop/c.yaml"
	if got := list(t, dir); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(entries) != 1 {
		t.Errorf("something was left beside the directory: %v %v", entries, err)
	}
}

func TestDirectoryOfOthersIsNotTouched(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "precious.yaml"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Directory(dir, output("shop/a")); err == nil {
		t.Fatal("a directory with foreign files was replaced")
	}
	if got := list(t, dir); got != "precious.yaml" {
		t.Errorf("the directory holds %s", got)
	}
}

// Two bindings of one back end have a folder each; without a name it is the back end's.
func TestDirectoryOfTargets(t *testing.T) {
	var outputs []translators.Output
	for _, target := range []translators.Target{{Name: "shop", Backend: "istio", Version: "1.31"}, {Name: "till", Backend: "istio", Version: "1.31"},
		{Name: "../etc", Backend: "istio"}, {Backend: "istio", Version: "1.31"}, {Backend: "istio"}} {
		one := output("shop/a")[0]
		one.Target = target
		outputs = append(outputs, one)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if n, err := Directory(dir, outputs); n != len(outputs) || err != nil {
		t.Fatal(n, err)
	}
	const file = "/virtualservice/shop/a.yaml"
	want := ".._etc-f7f9121f" + file + " .meshknot istio" + file + " istio-1.31" + file + " shop" + file + " till" + file
	if got := list(t, dir); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEmptyDirectoryIsUsed(t *testing.T) {
	dir := t.TempDir()
	if _, err := Directory(dir, output("shop/a")); err != nil {
		t.Fatal(err)
	}
}

func TestFileNamesStayApartAndInside(t *testing.T) {
	long := strings.Repeat("a", 253)
	ids := []translators.ID{
		{Type: "x/v1/K", Name: "a-b/c"}, {Type: "x/v1/K", Name: "a/b-c"}, {Type: "x/v1/K", Name: "a/b:c"}, {Type: "x/v1/K", Name: "a/b_c"},
		{Type: "x/v1/K", Name: "a/" + long}, {Type: "x/v1/K", Name: "a/" + long[:252] + "b"}, {Type: "x/v1/K", Name: "../../etc/x"},
		{Type: "type.googleapis.com/envoy.config.listener.v3.Listener", Name: "a/b|../../c"}, {Type: "x/v1/K", Name: ".."},
	}
	seen := map[string]translators.ID{}
	for _, id := range ids {
		f := fileName(id)
		if other, ok := seen[f]; ok {
			t.Errorf("%v and %v share the file %s", id, other, f)
		}
		seen[f] = id
		if !filepath.IsLocal(f) || filepath.ToSlash(filepath.Clean(f)) != f {
			t.Errorf("%v gets %s", id, f)
		}
		for _, part := range strings.Split(f, "/") {
			if len(part) > 255 {
				t.Errorf("%v gets a name of %d bytes", id, len(part))
			}
		}
	}
}

package webhook

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/crds"
)

// TestConverting: with conversion every version is served but those after the one that
// is stored, which nobody is to get without having asked for it.
func TestConverting(t *testing.T) {
	seen := 0
	for _, file := range crds.Names() {
		text, err := fs.ReadFile(crds.Files(), file)
		if err != nil {
			t.Fatal(err)
		}
		var o map[string]any
		if err := yaml.Unmarshal(text, &o); err != nil {
			t.Fatal(err)
		}
		name, _ := o["metadata"].(map[string]any)["name"].(string)
		if !slices.Contains(Converted(), name) {
			continue
		}
		seen++
		if err := (Registration{Namespace: own, Service: "convert"}).Converting(o); err != nil {
			t.Fatal(err)
		}
		spec := o["spec"].(map[string]any)
		var served []string
		for _, v := range spec["versions"].([]any) {
			if v := v.(map[string]any); v["served"] == true {
				served = append(served, v["name"].(string))
			}
		}
		slices.Sort(served)
		want := "v1alpha1 v1alpha2 v1alpha3 v1alpha4"
		if strings.HasPrefix(name, "traffictargets.") {
			want = "v1alpha1 v1alpha2 v1alpha3"
		}
		if got := strings.Join(served, " "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if at := spec["conversion"].(map[string]any)["webhook"].(map[string]any)["clientConfig"].(map[string]any)["service"]; at.(map[string]any)["path"] != ConvertPath {
			t.Errorf("%s: %v", name, at)
		}
	}
	if seen != len(Converted()) {
		t.Errorf("%d of %v", seen, Converted())
	}
}

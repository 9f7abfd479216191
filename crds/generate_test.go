package crds_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/test/lab"
)

var update = flag.Bool("update", false, "write what is generated")

const controllerGen = "controller-gen"

// What is generated is what the types say: "make generate" writes it.
func TestGeneratedIsCurrent(t *testing.T) {
	lab.Need(t, controllerGen)
	tool, err := lab.Binary(controllerGen)
	if err != nil {
		t.Fatal(err)
	}
	made := t.TempDir()
	c := exec.Command(tool, "object", "crd:omitToolVersion=true", "paths=./v1alpha1", "output:crd:dir="+made, "output:object:dir="+made)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("controller-gen: %v\n%s", err, out)
	}
	for from, to := range map[string]string{
		"meshknot.io_meshbindings.yaml":       "meshbindings.yaml",
		"meshknot.io_translationreports.yaml": "translationreports.yaml",
		"zz_generated.deepcopy.go":            "v1alpha1/zz_generated.deepcopy.go",
	} {
		want, err := os.ReadFile(filepath.Join(made, from))
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(to, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s is not what the types say: run make generate (-want +got):\n%s", to, d)
		}
	}
}

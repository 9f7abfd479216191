package smi

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/corpus"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// What is wrong with the manifests that are not fit for use, by file.
var faulty = map[string][]string{
	"controller-sdk/specs_v1alpha4_httproutegroup.yaml": {"error MK1003 spec.matches[0].headers.x-debug"},
	"controller-sdk/specs_v1alpha4_tcproute.yaml":       {"error MK1001 "},
	"controller-sdk/specs_v1alpha4_udproute.yaml":       {"error MK1002 spec.foo"},
}

func TestCorpus(t *testing.T) {
	dir := corpus.Dir(t)
	objects := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, _ := strings.CutPrefix(path, dir+"/")
		t.Run(name, func(t *testing.T) {
			set, found := input.Read([]string{path}, input.Options{Schemas: Schemas()})
			var ours report.Report
			for _, f := range found {
				if f.Code != report.IgnoredKind && f.Code != report.NothingRead {
					ours = append(ours, f)
				}
			}
			checkSaid(t, ours, faulty[name]...)
			objects += len(set.Objects)
			for _, o := range set.Objects {
				for _, leaf := range o.Leaves {
					if _, ok := LeafOf(o.Group, o.Kind, leaf); !ok {
						t.Errorf("%s %s: %s is not accounted for", o.Kind, o.Name, leaf)
					}
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = 53
	if objects != want {
		t.Errorf("read %d objects, want %d", objects, want)
	}
}

package apiserver

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// An API server takes every file: read strictly, filled with defaults,
// converted to the internal version and validated.
func TestAccepted(t *testing.T) {
	files, err := filepath.Glob("../*.yaml")
	if err != nil || len(files) != 8 {
		t.Fatalf("found %d files, want 8: %v", len(files), err)
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			crd := &v1.CustomResourceDefinition{}
			if err := yaml.UnmarshalStrict(raw, crd); err != nil {
				t.Fatal(err)
			}
			scheme.Default(crd)
			stored := slices.IndexFunc(crd.Spec.Versions, func(v v1.CustomResourceDefinitionVersion) bool { return v.Storage })
			if stored >= 0 { // which the server notes when it creates the object
				crd.Status.StoredVersions = []string{crd.Spec.Versions[stored].Name}
			}
			internal := &apiextensions.CustomResourceDefinition{}
			if err := scheme.Convert(crd, internal, nil); err != nil {
				t.Fatal(err)
			}
			for _, e := range validation.ValidateCustomResourceDefinition(context.Background(), internal) {
				t.Error(e)
			}
		})
	}
}

package crds_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/crds"
	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/translators/smi"
)

// load reads a file as an API server does: strictly, with defaults, converted
// to the internal version.
func load(t *testing.T, file string) (*apiextensionsv1.CustomResourceDefinition, *apiextensions.CustomResourceDefinition) {
	t.Helper()
	raw, err := fs.ReadFile(crds.Files(), file)
	if err != nil {
		t.Fatal(err)
	}
	external := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(raw, external); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	scheme.Default(external)
	internal := &apiextensions.CustomResourceDefinition{}
	if err := scheme.Convert(external, internal, nil); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return external, internal
}

// The module in apiserver/ asks the API server's own validation on top of this.
func TestFilesAreValid(t *testing.T) {
	for _, file := range crds.Names() {
		t.Run(file, func(t *testing.T) {
			external, internal := load(t, file)
			for _, v := range external.Spec.Versions {
				s, err := apiextensions.GetSchemaForVersion(internal, v.Name)
				if err != nil {
					t.Fatal(err)
				}
				structural, err := structuralschema.NewStructural(s.OpenAPIV3Schema)
				if err != nil {
					t.Fatalf("%s: %v", v.Name, err)
				}
				for _, e := range structuralschema.ValidateStructural(field.NewPath(v.Name), structural) {
					t.Error(e)
				}
			}
			if want := strings.TrimSuffix(file, ".yaml"); external.Spec.Names.Plural != want {
				t.Errorf("plural is %q, want %q, as the file is named", external.Spec.Names.Plural, want)
			}
			for _, v := range external.Spec.Versions {
				status := v.Subresources != nil && v.Subresources.Status != nil
				if want := external.Spec.Names.Kind != v1alpha1.KindTranslationReport; status != want {
					t.Errorf("%s: status subresource is %v, want %v", v.Name, status, want)
				}
				described(t, v.Name, v.Schema.OpenAPIV3Schema)
			}
		})
	}
}

// described checks that every field of a schema says what it is.
func described(t *testing.T, path string, s *apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	for name, p := range s.Properties {
		if p.Description == "" && name != "metadata" { // of which controller-gen makes nothing but an object
			t.Errorf("%s.%s has no description", path, name)
		}
		described(t, path+"."+name, &p)
	}
	if s.Items != nil && s.Items.Schema != nil {
		described(t, path+"[]", s.Items.Schema)
	}
}

// Conditions are a map by type in every kind, so that whoever writes one leaves
// the others alone.
func TestConditions(t *testing.T) {
	for _, file := range crds.Names() {
		external, _ := load(t, file)
		for _, v := range external.Spec.Versions {
			list, ok := v.Schema.OpenAPIV3Schema.Properties["status"].Properties["conditions"]
			if external.Spec.Names.Kind == v1alpha1.KindTranslationReport {
				list, ok = v.Schema.OpenAPIV3Schema.Properties["status"].Properties["backends"].Items.Schema.Properties["conditions"]
			}
			if !ok || list.XListType == nil || *list.XListType != "map" || !slices.Equal(list.XListMapKeys, []string{"type"}) {
				t.Errorf("%s %s: conditions are no map by type", file, v.Name)
			}
		}
	}
}

// Every list and every text of our own kinds has a bound.
func TestOwnKindsAreBounded(t *testing.T) {
	for _, file := range []string{"meshbindings.yaml", "translationreports.yaml"} {
		external, _ := load(t, file)
		root := external.Spec.Versions[0].Schema.OpenAPIV3Schema
		for _, part := range []string{"spec", "status"} {
			s := root.Properties[part]
			bounded(t, file+": "+part, &s)
		}
	}
}

func bounded(t *testing.T, path string, s *apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	switch {
	case strings.HasSuffix(path, ".namespaceSelector"): // Kubernetes' own type; bounded by rules
		if len(s.XValidations) != 2 {
			t.Errorf("%s has %d rules, want 2", path, len(s.XValidations))
		}
		return
	case s.Type == "string" && s.MaxLength == nil && len(s.Enum) == 0 && s.Format != "date-time",
		s.Type == "array" && s.MaxItems == nil,
		s.Type == "object" && s.AdditionalProperties != nil && s.MaxProperties == nil:
		t.Errorf("%s has no bound", path)
	}
	for name, p := range s.Properties {
		bounded(t, path+"."+name, &p)
	}
	if s.Items != nil {
		bounded(t, path+"[]", s.Items.Schema)
	}
}

// Every version that is read has a schema, and no other.
func TestVersions(t *testing.T) {
	want, got := []string{}, []string{}
	for _, s := range smi.Schemas() {
		want = append(want, s.Group+"/"+s.Version+" "+s.Kind)
	}
	for _, kind := range []string{v1alpha1.KindMeshBinding, v1alpha1.KindTranslationReport} {
		want = append(want, v1alpha1.GroupVersion().String()+" "+kind)
	}
	short := map[string]string{}
	storage := map[string]string{}
	for _, file := range crds.Names() {
		crd, _ := load(t, file)
		short[crd.Spec.Names.Kind] = strings.Join(crd.Spec.Names.ShortNames, ",")
		for _, v := range crd.Spec.Versions {
			got = append(got, crd.Spec.Group+"/"+v.Name+" "+crd.Spec.Names.Kind)
			if v.Storage {
				storage[crd.Spec.Names.Kind] = v.Name
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("schemas\n got %q\nwant %q", got, want)
	}
	for _, tt := range []struct{ kind, short, storage string }{
		{"TrafficSplit", "ts", "v1alpha4"}, {"HTTPRouteGroup", "htr", "v1alpha4"}, {"TCPRoute", "tr", "v1alpha4"},
		{"UDPRoute", "ur", "v1alpha4"}, {"TrafficTarget", "tt", "v1alpha3"}, {"IdentityBinding", "ib", "v1alpha4"},
		{"MeshBinding", "mb", "v1alpha1"}, {"TranslationReport", "trep", "v1alpha1"},
	} {
		if short[tt.kind] != tt.short || storage[tt.kind] != tt.storage {
			t.Errorf("%s: short name %q, stored as %q, want %q, %q", tt.kind, short[tt.kind], storage[tt.kind], tt.short, tt.storage)
		}
	}
}

// schemas holds the compiled schemas by "group/version kind".
type schemas map[string]compiled

type compiled struct {
	served, storage bool
	validator       schemavalidation.SchemaValidator
	structural      *structuralschema.Structural
}

func compile(t *testing.T) schemas {
	t.Helper()
	out := schemas{}
	for _, file := range crds.Names() {
		external, internal := load(t, file)
		for _, v := range external.Spec.Versions {
			s, err := apiextensions.GetSchemaForVersion(internal, v.Name)
			if err != nil {
				t.Fatal(err)
			}
			validator, _, err := schemavalidation.NewSchemaValidator(s.OpenAPIV3Schema)
			if err != nil {
				t.Fatal(err)
			}
			structural, err := structuralschema.NewStructural(s.OpenAPIV3Schema)
			if err != nil {
				t.Fatal(err)
			}
			out[external.Spec.Group+"/"+v.Name+" "+external.Spec.Names.Kind] = compiled{v.Served, v.Storage, validator, structural}
		}
	}
	return out
}

// faults returns what an API server has against an object: what it refuses, and
// what it would cut off.
func (c compiled) faults(object map[string]any) []string {
	var out []string
	for _, e := range schemavalidation.ValidateCustomResource(nil, object, c.validator) {
		out = append(out, e.Error())
	}
	cut := pruning.PruneWithOptions(runtime.DeepCopyJSON(object), c.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range cut {
		out = append(out, "cut off: "+path)
	}
	return out
}

package gatewayapi_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators/gatewayapi"
	"github.com/meshknot/meshknot/translators/report"
)

// server validates objects as an API server with Gateway API's own CRDs does.
type server map[string]served

type served struct {
	structural *structuralschema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

// newServer compiles the CRDs of the experimental channel, which has every field.
func newServer(t *testing.T) server {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(moduleDir(t), "config/crd/experimental/gateway.networking.k8s.io_*s.yaml"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	out := server{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		external, internal := &apiextensionsv1.CustomResourceDefinition{}, &apiextensions.CustomResourceDefinition{}
		if err := yaml.Unmarshal(raw, external); err != nil || external.Kind != "CustomResourceDefinition" {
			continue // the policy that guards upgrades
		}
		scheme.Default(external)
		if err := scheme.Convert(external, internal, nil); err != nil {
			t.Fatal(err)
		}
		for _, v := range external.Spec.Versions {
			if !v.Served {
				continue
			}
			s, err := apiextensions.GetSchemaForVersion(internal, v.Name)
			if err != nil {
				t.Fatal(err)
			}
			structural, err := structuralschema.NewStructural(s.OpenAPIV3Schema)
			if err != nil {
				t.Fatal(err)
			}
			schema, _, err := validation.NewSchemaValidator(s.OpenAPIV3Schema)
			if err != nil {
				t.Fatal(err)
			}
			out[v.Name+" "+external.Spec.Names.Kind] = served{structural, schema, cel.NewValidator(structural, true, 10_000_000)}
		}
	}
	return out
}

// refuses returns why an object is refused; none where it would be stored.
func (s server) refuses(t *testing.T, text string) []string {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := kjson.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	version, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	c, ok := s[strings.TrimPrefix(version, gatewayapi.Group+"/")+" "+kind]
	if !ok {
		t.Fatalf("%s %s is not served", version, kind)
	}
	defaulting.Default(o, c.structural)
	var out []string
	for _, e := range validation.ValidateCustomResource(nil, o, c.schema) {
		out = append(out, e.Error())
	}
	for _, e := range listtype.ValidateListSetsAndMaps(nil, c.structural, o) {
		out = append(out, e.Error())
	}
	found, _ := c.rules.Validate(context.Background(), nil, c.structural, o, nil, 10_000_000)
	for _, e := range found {
		out = append(out, e.Error())
	}
	return out
}

// The versions that are read are those that are served, and older ones.
func TestVersions(t *testing.T) {
	s := newServer(t)
	read := map[string]bool{}
	for _, schema := range gatewayapi.Schemas() {
		read[schema.Version+" "+schema.Kind] = true
	}
	for version := range s {
		if !read[version] {
			t.Errorf("%s is served and not read", version)
		}
	}
}

// rejection is an object and what is said of it.
type rejection struct {
	object string
	code   report.Code // empty: it is accepted
	field  string
	// stricter: an API server stores the object.
	stricter bool
}

// What an API server refuses is refused, at the field that is wrong, and nothing else is.
func TestStrictness(t *testing.T) {
	s := newServer(t)
	for _, c := range rejections() {
		name := c.object[strings.Index(c.object, "kind:")+6:]
		t.Run(name[:min(len(name), 150)], func(t *testing.T) {
			refused := s.refuses(t, c.object)
			if (len(refused) > 0) != (c.code != "" && !c.stricter) {
				t.Errorf("an API server says %q", refused)
			}
			_, found := read(t, gatewayapi.Schemas(), c.object)
			var errors []string
			matched := false
			for _, f := range found {
				if f.Severity == report.Error {
					errors = append(errors, string(f.Code)+" "+f.Source.Field+": "+f.Message)
					matched = matched || f.Code == c.code && f.Source.Field == c.field
				}
			}
			if c.code == "" && len(errors) > 0 || c.code != "" && (!matched || len(errors) != 1) {
				t.Errorf("found %q, want %s %s", errors, c.code, c.field)
			}
		})
	}
}

// Every example of Gateway API is read without an error, where the kinds that are read are concerned.
func TestExamples(t *testing.T) {
	seen := 0
	for _, dir := range []string{"examples/standard", "examples/experimental"} {
		root := filepath.Join(moduleDir(t), dir)
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || filepath.Ext(path) != ".yaml" {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			set, found := read(t, gatewayapi.Schemas(), string(raw))
			for _, f := range found {
				if f.Severity == report.Error && f.Code != report.NothingRead {
					t.Errorf("%s: %s %s: %s", strings.TrimPrefix(path, root), f.Code, f.Source, f.Message)
				}
			}
			seen += len(set.Objects)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 100 {
		t.Errorf("only %d objects", seen)
	}
}

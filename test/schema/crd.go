// Package schema judges what is emitted as its receiver would: Kubernetes
// objects by the CustomResourceDefinitions that the API server holds, xDS
// resources by the constraints of their protobuf definitions. It is for tests.
package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"reflect"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/api/meta"
	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// CRDs are the definitions that objects are held against, by apiVersion and kind.
type CRDs map[string]kind

// kind is one served version of one definition.
type kind struct {
	schema     *structural.Structural
	validator  validation.SchemaValidator
	cel        *cel.Validator
	namespaced bool
}

// Load reads the definitions in every YAML file of a file system that one of
// the patterns matches (see fs.Glob).
func Load(fsys fs.FS, patterns ...string) (CRDs, error) {
	out := CRDs{}
	for _, pattern := range patterns {
		files, err := fs.Glob(fsys, pattern)
		if err != nil {
			return nil, fmt.Errorf("matching %s: %w", pattern, err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("matching %s: no such file", pattern)
		}
		for _, name := range files {
			if err := out.read(fsys, name); err != nil {
				return nil, fmt.Errorf("reading %s: %w", name, err)
			}
		}
	}
	return out, nil
}

func (c CRDs) read(fsys fs.FS, name string) error {
	file, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	documents := yaml.NewYAMLOrJSONDecoder(file, 4096)
	for {
		var crd v1.CustomResourceDefinition
		switch err := documents.Decode(&crd); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case crd.Kind != "CustomResourceDefinition":
			continue
		}
		for _, version := range crd.Spec.Versions {
			if !version.Served {
				continue
			}
			k, err := compile(crd, version)
			if err != nil {
				return fmt.Errorf("%s %s: %w", crd.Name, version.Name, err)
			}
			c[crd.Spec.Group+"/"+version.Name+"/"+crd.Spec.Names.Kind] = k
		}
	}
}

func compile(crd v1.CustomResourceDefinition, version v1.CustomResourceDefinitionVersion) (kind, error) {
	var internal apiextensions.CustomResourceValidation
	if err := v1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, &internal, nil); err != nil {
		return kind{}, err
	}
	s, err := structural.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return kind{}, err
	}
	validator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return kind{}, err
	}
	return kind{s, validator, cel.NewValidator(s, true, math.MaxInt64), crd.Spec.Scope == v1.NamespaceScoped}, nil
}

// Check reports what an API server would refuse in an object, or not keep as it
// is: fields that the definition does not know are pruned, absent ones are
// defaulted, and both are errors here.
func (c CRDs) Check(obj map[string]any) error {
	apiVersion, _ := obj["apiVersion"].(string)
	name, _ := obj["kind"].(string)
	k, ok := c[apiVersion+"/"+name]
	if !ok {
		return fmt.Errorf("no definition of %q %q", apiVersion, name)
	}
	if err := plain(obj, nil); err != nil {
		return err
	}
	return k.check(obj)
}

func (k kind) check(obj map[string]any) error {
	var found field.ErrorList
	found = append(found, k.metadata(obj)...)
	found = append(found, k.kept(obj)...)
	found = append(found, validation.ValidateCustomResource(nil, obj, k.validator)...)
	found = append(found, listtype.ValidateListSetsAndMaps(nil, k.schema, obj)...)
	found = append(found, objectmeta.Validate(nil, obj, k.schema, true)...)
	if len(found) == 0 { // the API server evaluates rules only on what fits the schema
		broken, _ := k.cel.Validate(context.Background(), nil, k.schema, obj, nil, math.MaxInt64)
		found = append(found, broken...)
	}
	return found.ToAggregate()
}

func (k kind) metadata(obj map[string]any) field.ErrorList {
	at := field.NewPath("metadata")
	if _, _, err := objectmeta.GetObjectMeta(obj, false); err != nil {
		return field.ErrorList{field.Invalid(at, obj["metadata"], err.Error())}
	}
	accessor, err := meta.Accessor(&unstructured.Unstructured{Object: obj})
	if err != nil {
		return field.ErrorList{field.InternalError(at, err)}
	}
	return metavalidation.ValidateObjectMetaAccessor(accessor, k.namespaced, metavalidation.NameIsDNSSubdomain, at)
}

// kept reports what the API server would take away from an object or add to it.
func (k kind) kept(obj map[string]any) field.ErrorList {
	var found field.ErrorList
	copied := runtime.DeepCopyJSON(obj)
	options := structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	for _, path := range pruning.PruneWithOptions(copied, k.schema, true, options) {
		found = append(found, field.Forbidden(field.NewPath(path), "the definition has no such field"))
	}
	copied = runtime.DeepCopyJSON(obj)
	defaulting.PruneNonNullableNullsWithoutDefaults(copied, k.schema)
	defaulting.Default(copied, k.schema)
	if !reflect.DeepEqual(copied, obj) {
		found = append(found, field.Invalid(field.NewPath("spec"), copied["spec"], "defaults would be added, or nulls removed"))
	}
	return found
}

// plain reports values that JSON decoding would never make, such as an int.
func plain(v any, path []string) error {
	switch v := v.(type) {
	case map[string]any:
		for key, e := range v {
			if err := plain(e, append(path, key)); err != nil {
				return err
			}
		}
	case []any:
		for _, e := range v {
			if err := plain(e, append(path, "[]")); err != nil {
				return err
			}
		}
	case string, bool, int64, float64, nil:
	default:
		return fmt.Errorf("%s: %T is no type of JSON as the API server decodes it", strings.Join(path, "."), v)
	}
	return nil
}

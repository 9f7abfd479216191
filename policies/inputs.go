package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/meshknot/meshknot/translators/report"
)

// inputs is an object in both forms that rules read. They share the one parsed
// value.
type inputs struct {
	object, review *ast.Term
}

func (in inputs) of(en entry) *ast.Term {
	if !en.review {
		return in.object
	}
	return ast.ObjectTerm(
		[2]*ast.Term{ast.InternedTerm("parameters"), en.parameters},
		[2]*ast.Term{ast.InternedTerm("review"), in.review},
	)
}

// parse turns an object into what rules read: the only time that its content
// is looked at.
func parse(o Object) (inputs, error) {
	object, err := ast.InterfaceToValue(o.Value)
	if err != nil {
		return inputs{}, fmt.Errorf("converting: %w", err)
	}
	return forms(o.Ref, apiVersion(o), object, o.Previous)
}

// forms puts a parsed object into both forms.
func forms(at report.Ref, version string, object ast.Value, previous map[string]any) (inputs, error) {
	parts := map[string]any{
		"operation": "CREATE",
		"kind": map[string]any{
			"group": at.Group, "version": version[strings.LastIndex(version, "/")+1:], "kind": at.Kind,
		},
		"namespace": at.Namespace,
		"name":      at.Name,
		"object":    object,
	}
	if previous != nil {
		parts["operation"], parts["oldObject"] = "UPDATE", previous
	}
	review, err := ast.InterfaceToValue(parts)
	if err != nil {
		return inputs{}, fmt.Errorf("converting: %w", err)
	}
	return inputs{object: ast.NewTerm(object), review: ast.NewTerm(review)}, nil
}

func apiVersion(o Object) string {
	version, _ := o.Value["apiVersion"].(string)
	return version
}

// inventory makes the store behind data.inventory, in Gatekeeper's layout:
// cluster[apiVersion][kind][name], and namespace[ns][apiVersion][kind][name].
// It is empty where no rule would look.
func inventory(objects []Object, parsed []inputs, entries []entry) (storage.Store, error) {
	cluster, namespaced := map[string]any{}, map[string]any{}
	if slices.ContainsFunc(entries, func(en entry) bool { return en.inventory }) {
		for i, o := range objects {
			if parsed[i].object == nil {
				continue
			}
			under := cluster
			if o.Ref.Namespace != "" {
				under = child(namespaced, o.Ref.Namespace)
			}
			child(child(under, apiVersion(o)), o.Ref.Kind)[o.Ref.Name] = parsed[i].object.Value
		}
	}
	data, err := ast.InterfaceToValue(map[string]any{
		"inventory": map[string]any{"cluster": cluster, "namespace": namespaced},
	})
	if err != nil {
		return nil, fmt.Errorf("making the inventory: %w", err)
	}
	return inmem.NewFromASTObject(data.(ast.Object)), nil
}

// child returns the map under a key, and makes it where it is missing.
func child(m map[string]any, key string) map[string]any {
	if _, ok := m[key]; !ok {
		m[key] = map[string]any{}
	}
	return m[key].(map[string]any)
}

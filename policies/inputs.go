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
// value. Review is there where a rule reads it.
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
func parse(o Object, entries []entry) (inputs, error) {
	object, err := ast.InterfaceToValue(o.Value)
	if err != nil {
		return inputs{}, fmt.Errorf("converting: %w", err)
	}
	return forms(o.Ref, apiVersion(o), object, o.Previous, entries)
}

// forms puts a parsed object into the forms that entries read.
func forms(at report.Ref, version string, object ast.Value, previous map[string]any, entries []entry) (inputs, error) {
	in := inputs{object: ast.NewTerm(object)}
	if !slices.ContainsFunc(entries, func(en entry) bool { return en.review && en.rule.concerns(at) }) {
		return in, nil
	}
	field := func(key, value string) [2]*ast.Term {
		return [2]*ast.Term{ast.InternedTerm(key), ast.StringTerm(value)}
	}
	kind := ast.ObjectTerm(field("group", at.Group), field("version", version[strings.LastIndex(version, "/")+1:]), field("kind", at.Kind))
	operation := "CREATE"
	parts := [][2]*ast.Term{
		{ast.InternedTerm("kind"), kind},
		{ast.InternedTerm("object"), in.object},
		field("namespace", at.Namespace),
		field("name", at.Name),
	}
	if previous != nil {
		old, err := ast.InterfaceToValue(previous)
		if err != nil {
			return inputs{}, fmt.Errorf("converting: %w", err)
		}
		operation = "UPDATE"
		parts = append(parts, [2]*ast.Term{ast.InternedTerm("oldObject"), ast.NewTerm(old)})
	}
	in.review = ast.ObjectTerm(append(parts, field("operation", operation))...)
	return in, nil
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

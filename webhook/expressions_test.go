package webhook

import (
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// TestUnusedExpression: an expression that cannot be read denies the object that has it,
// though nobody refers to it yet, once, and no edit of an object that had it before.
func TestUnusedExpression(t *testing.T) {
	e := engine.New(all.Pipeline(), nil, nil)
	e.Bind(input.Settings{Complete: true}, nil, nil)
	decoder := input.NewDecoder(input.Options{Schemas: all.Pipeline().Schemas()})
	target, found := decoder.Decode([]byte(`{"apiVersion":"access.smi-spec.io/v1alpha3","kind":"TrafficTarget","metadata":{"name":"t","namespace":"used"},"spec":{"destination":{"kind":"ServiceAccount","name":"a","namespace":"used"},"sources":[{"kind":"ServiceAccount","name":"b","namespace":"used"}],"rules":[{"kind":"HTTPRouteGroup","name":"a"}]}}`))
	if len(found) > 0 {
		t.Fatal(found)
	}
	e.Apply([]input.Edit{{ID: target.ID, Objects: []input.Object{target}}})
	h := New(still{engine: e}, nil, nil, Options{Schemas: all.Pipeline().Schemas()})
	for _, namespace := range []string{"shop", "used"} {
		for _, c := range []struct{ name, match, old, field string }{
			{"in order", `"pathRegex":"/reviews/\\d.*"`, "", ""},
			{"path", `"pathRegex":"/reviews/(\\d.*"`, "", "spec.matches[0].pathRegex"},
			{"header", `"pathRegex":"/","headers":{"x-user":"[a-"}`, "", "spec.matches[0].headers.x-user"},
			{"new", `"pathRegex":"/reviews/(\\d.*"`, `"pathRegex":"/reviews/\\d.*"`, "spec.matches[0].pathRegex"},
			{"as before", `"methods":["GET"],"pathRegex":"/reviews/(\\d.*"`, `"pathRegex":"/reviews/(\\d.*"`, ""},
		} {
			q := groupRequest(namespace, c.match, c.old)
			edit := input.Edit{ID: input.ID{Group: specsGroup, Kind: "HTTPRouteGroup", Namespace: namespace, Name: "a"}}
			if old, _ := decoder.Decode(q.OldObject.Raw); c.old != "" {
				edit.Objects = []input.Object{old}
			}
			e.Apply([]input.Edit{edit})
			r := ask(t, h, q)
			if r.Allowed != (c.field == "") {
				t.Errorf("%s, %s: allowed %v: %+v", namespace, c.name, r.Allowed, r.Result)
				continue
			}
			if r.Allowed {
				continue
			}
			said := r.Result.Details.Causes
			if len(said) != 1 || said[0].Field != c.field || string(said[0].Type) != string(report.BadRegex) {
				t.Errorf("%s, %s: %+v", namespace, c.name, said)
			}
		}
	}
	if r := ask(t, h, groupRequest("shop", `"pathRegex":"("`, "")); r.Result == nil || r.Result.Message !=
		"spec.matches[0].pathRegex: the expression \"(\" cannot be read: missing closing ): \"(\" (MK2015). write the expression in RE2 syntax" {
		t.Errorf("%+v", r.Result)
	}
}

func groupRequest(namespace, match, old string) admissionv1.AdmissionRequest {
	object := func(match string) runtime.RawExtension {
		return runtime.RawExtension{Raw: []byte(`{"apiVersion":"specs.smi-spec.io/v1alpha4","kind":"HTTPRouteGroup","metadata":{"name":"a","namespace":"` + namespace + `"},"spec":{"matches":[{"name":"m",` + match + `}]}}`)}
	}
	q := admissionv1.AdmissionRequest{Operation: admissionv1.Create, Namespace: namespace, Name: "a",
		Kind: metav1.GroupVersionKind{Group: specsGroup, Version: "v1alpha4", Kind: "HTTPRouteGroup"}, Object: object(match)}
	if old != "" {
		q.Operation, q.OldObject = admissionv1.Update, object(old)
	}
	return q
}

package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// still is a world in which nothing changes.
type still struct {
	engine  *engine.Engine
	unready bool
	do      func(ctx context.Context)
}

func (s still) Preview(ctx context.Context, edits []input.Edit) (engine.Preview, bool) {
	if s.do != nil {
		s.do(ctx)
	}
	return s.engine.Preview(edits), !s.unready
}

const own, account = "meshknot-system", "system:serviceaccount:meshknot-system:meshknot"

func handler(t testing.TB, do func(ctx context.Context), o Options) *Handler {
	t.Helper()
	rules, err := policies.NewLive(policies.NewInventory(), policies.Shipped(), nil)
	if err != nil {
		t.Fatal(err)
	}
	o.Schemas, o.Namespace, o.Account = all.Pipeline().Schemas(), own, account
	e := engine.New(all.Pipeline(), nil, nil)
	e.Bind(input.Settings{Complete: true}, nil, nil)
	return New(still{engine: e, do: do}, rules, nil, o)
}

func asked(h http.Handler, body []byte, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
	return w
}

// ask puts a request about an object.
func ask(t testing.TB, h http.Handler, q admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	t.Helper()
	q.UID = "u"
	body, err := json.Marshal(admissionv1.AdmissionReview{Request: &q})
	if err != nil {
		t.Fatal(err)
	}
	w := asked(h, body, "/validate?timeout=5s")
	var review admissionv1.AdmissionReview
	if w.Code != http.StatusOK || json.Unmarshal(w.Body.Bytes(), &review) != nil || review.Response == nil {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return review.Response
}

func splitOf(spec string) []byte {
	return []byte(`{"apiVersion":"split.smi-spec.io/v1alpha4","kind":"TrafficSplit","metadata":{"name":"a","namespace":"shop"},"spec":` + spec + `}`)
}

func request(operation admissionv1.Operation, object, old []byte) admissionv1.AdmissionRequest {
	return admissionv1.AdmissionRequest{Operation: operation, Namespace: "shop", Name: "a",
		Kind:   metav1.GroupVersionKind{Group: splitGroup, Version: "v1alpha4", Kind: "TrafficSplit"},
		Object: runtime.RawExtension{Raw: object}, OldObject: runtime.RawExtension{Raw: old}}
}

const (
	good     = `{"service":"a","backends":[{"service":"b","weight":90},{"service":"c","weight":10}]}`
	negative = `{"service":"a","backends":[{"service":"b","weight":-90},{"service":"c","weight":100}]}`
	unknown  = `{"service":"a","backends":[{"service":"b","wieght":90}]}`
)

// TestDenied: a denial has the field, the code and what to do, in its message and in
// causes, and the audit log has the codes and no text of users.
func TestDenied(t *testing.T) {
	h := handler(t, nil, Options{})
	r := ask(t, h, request(admissionv1.Create, splitOf(unknown), nil))
	if r.Allowed || r.Result.Code != http.StatusUnprocessableEntity || r.UID != "u" {
		t.Fatalf("%+v", r)
	}
	if !strings.Contains(r.Result.Message, `spec.backends[0].wieght: unknown field "wieght" (MK1002). did you mean "weight"?`) {
		t.Errorf("message %q", r.Result.Message)
	}
	if !slices.ContainsFunc(r.Result.Details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == "MK1002" && c.Field == "spec.backends[0].wieght" && c.Message == `unknown field "wieght"`
	}) {
		t.Errorf("causes %+v", r.Result.Details.Causes)
	}
	if a := r.AuditAnnotations; a["verdict"] != "denied" || !strings.Contains(a["codes"], "MK1002") || a["duration"] == "" {
		t.Errorf("audit %v", a)
	}
}

// TestEdits: what was wrong before and still is does not deny an edit, nor does what
// an object says deny an edit of its metadata, or of one that is being deleted.
func TestEdits(t *testing.T) {
	h := handler(t, nil, Options{})
	labelled := bytes.Replace(splitOf(negative), []byte(`"name":"a"`), []byte(`"name":"a","labels":{"x":"y"}`), 1)
	ending := bytes.Replace(splitOf(negative), []byte(`"name":"a"`), []byte(`"name":"a","deletionTimestamp":"2026-01-01T00:00:00Z"`), 1)
	worse := []byte(strings.Replace(string(splitOf(negative)), `"weight":100`, `"weight":-1`, 1))
	for _, c := range []struct {
		name        string
		object, old []byte
		allowed     bool
		warned      bool
	}{
		{"new fault", splitOf(negative), splitOf(good), false, true},
		{"old fault, other share", []byte(strings.Replace(string(splitOf(negative)), `100`, `10`, 1)), splitOf(negative), true, true},
		{"another fault", worse, splitOf(negative), false, true},
		{"labels", labelled, splitOf(negative), true, true},
		{"finalizers", ending, splitOf(negative), true, false},
		{"mended", splitOf(good), splitOf(negative), true, true}, // of the step that its shares take
	} {
		r := ask(t, h, request(admissionv1.Update, c.object, c.old))
		if r.Allowed != c.allowed || (len(r.Warnings) > 0) != c.warned {
			t.Errorf("%s: allowed %v, %q, %+v", c.name, r.Allowed, r.Warnings, r.Result)
		}
	}
}

// TestNeverBlocked: what would lock a cluster is let through, whatever it is and
// whatever the webhook is registered for.
func TestNeverBlocked(t *testing.T) {
	h := handler(t, func(context.Context) { panic("it is looked at") }, Options{DenyOpening: true})
	bad := request(admissionv1.Create, splitOf(negative), nil)
	for name, edit := range map[string]func(q *admissionv1.AdmissionRequest){
		"own namespace": func(q *admissionv1.AdmissionRequest) { q.Namespace = own },
		"kube-system":   func(q *admissionv1.AdmissionRequest) { q.Namespace = "kube-system" },
		"lease": func(q *admissionv1.AdmissionRequest) {
			q.Kind = metav1.GroupVersionKind{Group: "coordination.k8s.io", Kind: "Lease"}
		},
		"own account": func(q *admissionv1.AdmissionRequest) { q.UserInfo.Username = account },
		"status":      func(q *admissionv1.AdmissionRequest) { q.SubResource = "status" },
		"another kind": func(q *admissionv1.AdmissionRequest) {
			q.Kind = metav1.GroupVersionKind{Group: "apps", Kind: "Deployment"}
		},
		"namespace that ends": func(q *admissionv1.AdmissionRequest) {
			q.Operation, q.UserInfo = admissionv1.Delete, authenticationv1.UserInfo{Username: "x", Groups: []string{"system:serviceaccounts:kube-system"}}
		},
		"report that goes": func(q *admissionv1.AdmissionRequest) {
			q.Operation, q.Kind = admissionv1.Delete, metav1.GroupVersionKind{Group: "meshknot.io", Kind: "TranslationReport"}
		},
	} {
		q := bad
		edit(&q)
		if r := ask(t, h, q); !r.Allowed || len(r.Warnings) > 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestNoVerdict: where there is no verdict the API server gets an error, so that the
// failurePolicy decides, and the next request is answered.
func TestNoVerdict(t *testing.T) {
	body, _ := json.Marshal(admissionv1.AdmissionReview{Request: new(request(admissionv1.Create, splitOf(good), nil))})
	hang := make(chan struct{})
	defer close(hang)
	for _, c := range []struct {
		name string
		h    *Handler
		body []byte
		want int
	}{
		{"a defect", handler(t, func(context.Context) { panic("oh") }, Options{}), body, 500},
		{"too slow", handler(t, func(context.Context) { <-hang }, Options{Deadline: 20 * time.Millisecond, Concurrent: 1}), body, 500},
		{"not ready", New(still{engine: engine.New(all.Pipeline(), nil, nil), unready: true}, nil, nil, Options{Schemas: all.Pipeline().Schemas()}), body, 500},
		{"too large", handler(t, nil, Options{Body: 1000}), append(body, bytes.Repeat([]byte(" "), 1000)...), 413},
		{"no JSON", handler(t, nil, Options{}), []byte("{"), 400},
		{"no request", handler(t, nil, Options{}), []byte("{}"), 400},
		{"deep", handler(t, nil, Options{}), []byte(`{"request":` + strings.Repeat(`{"a":`, 20000) + strings.Repeat(`}`, 20001)), 400},
	} {
		for range 2 {
			if w := asked(c.h, c.body, "/validate?timeout=5s"); w.Code != c.want {
				t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
			}
		}
	}
	if w := asked(handler(t, nil, Options{}), []byte("{"), "/convert"); w.Code != 400 {
		t.Errorf("convert: %d", w.Code)
	}
	deep := `{"apiVersion":"split.smi-spec.io/v1alpha4","kind":"TrafficSplit","metadata":{"name":"a","namespace":"shop"},"spec":` +
		strings.Repeat(`{"a":`, 900) + "1" + strings.Repeat(`}`, 901)
	if r := ask(t, handler(t, nil, Options{}), request(admissionv1.Create, []byte(deep), nil)); r.Allowed {
		t.Error("an object of depth 900 is let through")
	}
}

// TestWarningsAreBounded: however much is to be said and whatever is in it, a warning
// is a line that a header can carry.
func TestWarningsAreBounded(t *testing.T) {
	var found report.Report
	for i := range 100 {
		found = append(found, report.Finding{Code: "MK2006", Message: fmt.Sprint(i, "\n\x00\"é", strings.Repeat("ü", 300)), Hint: strings.Repeat("x", 300),
			Source: report.Ref{Field: "spec"}})
	}
	out := warnings(found)
	total := 0
	for i, w := range out {
		total += len(w)
		if len(w) > maxWarning || strings.ContainsAny(w, "\n\x00") || i < len(out)-1 && !strings.HasSuffix(w, "(MK2006)") {
			t.Errorf("%d bytes: %q", len(w), w)
		}
	}
	if len(out) != maxWarnings || total > 4096 || !strings.Contains(out[len(out)-1], "and 77 more") {
		t.Errorf("%d warnings, %d bytes: %s", len(out), total, out[len(out)-1])
	}
}

// TestKindsAreComplete: every kind of a policy that front ends read is judged, in
// every version, and nothing of what policies are about is.
func TestKindsAreComplete(t *testing.T) {
	have := map[string]bool{}
	for _, k := range Kinds() {
		for _, v := range k.Versions {
			have[k.Group+"/"+v+" "+k.Kind+fmt.Sprint(k.Cluster)] = true
		}
	}
	n := 0
	for _, s := range all.Pipeline().Schemas() {
		if !strings.HasSuffix(s.Group, "smi-spec.io") && s.Group != gatewayGroup {
			continue
		}
		n++
		if !have[s.Group+"/"+s.Version+" "+s.Kind+fmt.Sprint(s.Cluster)] {
			t.Errorf("%s/%s %s is not judged", s.Group, s.Version, s.Kind)
		}
	}
	if n+3 != len(have) {
		t.Errorf("%d kinds and versions are judged, %d read", len(have), n)
	}
}

// TestRegistration holds what an API server is told against what must be true of it.
func TestRegistration(t *testing.T) {
	c := Registration{Namespace: own, Account: account, Service: "meshknot", Policies: map[string]admissionregistrationv1.FailurePolicyType{
		"TrafficTarget.access.smi-spec.io": admissionregistrationv1.Fail}}.Configuration()
	policy := map[string]admissionregistrationv1.FailurePolicyType{}
	for _, w := range c.Webhooks {
		if *w.SideEffects != admissionregistrationv1.SideEffectClassNone || *w.MatchPolicy != admissionregistrationv1.Equivalent || *w.TimeoutSeconds != 5 {
			t.Errorf("%s: %+v", w.Name, w)
		}
		if values := w.NamespaceSelector.MatchExpressions[0].Values; !slices.Contains(values, "kube-system") || slices.Contains(values, own) == (w.ObjectSelector != nil) {
			t.Errorf("%s: namespaces %q", w.Name, values)
		}
		if len(w.MatchConditions) != 1 || w.MatchConditions[0].Expression != `request.userInfo.username != "`+account+`"` {
			t.Errorf("%s: %+v", w.Name, w.MatchConditions)
		}
		for _, r := range w.Rules {
			if slices.Contains(r.APIGroups, "*") || slices.Contains(r.Resources, "*") || slices.Contains(r.APIVersions, "*") {
				t.Errorf("%s: rule %+v is not narrow", w.Name, r)
			}
			policy[r.Resources[0]+"."+r.APIGroups[0]] = *w.FailurePolicy
		}
	}
	for resource, want := range map[string]admissionregistrationv1.FailurePolicyType{
		"meshbindings.meshknot.io": admissionregistrationv1.Fail, "translationreports.meshknot.io": admissionregistrationv1.Fail,
		"traffictargets.access.smi-spec.io": admissionregistrationv1.Fail, "trafficsplits.split.smi-spec.io": admissionregistrationv1.Ignore,
		"configmaps.": admissionregistrationv1.Ignore,
	} {
		if policy[resource] != want {
			t.Errorf("%s: failurePolicy %s, want %s", resource, policy[resource], want)
		}
	}
	if len(policy) != len(Kinds()) {
		t.Errorf("%d resources, %d kinds", len(policy), len(Kinds()))
	}
}

// TestRulesConfigMap: rules that are not in order are told before they are stored.
func TestRulesConfigMap(t *testing.T) {
	config := func(namespace, text string) admissionv1.AdmissionRequest {
		raw, _ := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a", "namespace": namespace,
			"labels": map[string]any{PolicyLabel: "true"}}, "data": map[string]any{"a.rego": text, "README": "no rule"}})
		q := request(admissionv1.Create, raw, nil)
		q.Kind, q.Namespace = metav1.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, namespace
		return q
	}
	elsewhere := handler(t, nil, Options{PolicyNamespace: "rules"})
	if r := ask(t, elsewhere, config("rules", "package x\ndeny if http.send({})")); r.Allowed || !strings.Contains(r.Result.Message, `data["a.rego"]: line 2`) ||
		!strings.Contains(r.Result.Message, "MK4004") {
		t.Errorf("%+v", r)
	}
	if r := ask(t, elsewhere, config("rules", "package x\ndeny if input.a")); !r.Allowed || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
	if r := ask(t, elsewhere, config("shop", "package x\ndeny if input.a")); !r.Allowed || len(r.Warnings) != 1 {
		t.Errorf("%+v", r)
	}
	if r := ask(t, handler(t, nil, Options{}), config(own, "package x\ndeny if")); !r.Allowed || len(r.Warnings) == 0 {
		t.Errorf("%+v", r)
	}
}

// TestConvert: the API server gets all objects in the version that it wants, or why not.
func TestConvert(t *testing.T) {
	h := handler(t, nil, Options{})
	review := func(spec, version string) string {
		w := asked(h, []byte(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview","request":{"uid":"u","desiredAPIVersion":"split.smi-spec.io/`+version+`","objects":[`+
			string(splitOf(spec))+`]}}`), "/convert")
		return w.Body.String()
	}
	if got := review(good, "v1alpha2"); !strings.Contains(got, `"status":"Success"`) || !strings.Contains(got, `"split.smi-spec.io/v1alpha2"`) || !strings.Contains(got, `"uid":"u"`) {
		t.Error(got)
	}
	if got := review(good, "v9"); !strings.Contains(got, `"status":"Failure"`) || !strings.Contains(got, "TrafficSplit shop/a cannot be said in") {
		t.Error(got)
	}
}

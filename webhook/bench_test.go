package webhook

import (
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
)

// BenchmarkValidate10000 is an update of a TrafficSplit among 10,000 objects, from
// the bytes of the request to those of the answer. Beside the time it reports that of
// processors, which other work of the machine does not change.
func BenchmarkValidate10000(b *testing.B) {
	decoder := input.NewDecoder(input.Options{Schemas: all.Pipeline().Schemas()})
	inventory := policies.NewInventory()
	var edits []input.Edit
	var values []policies.Object
	for i := range 2000 {
		ns := fmt.Sprint("ns-", i%40)
		meta := func(name string) map[string]any { return map[string]any{"name": name, "namespace": ns} }
		app := fmt.Sprint("app", i)
		for _, o := range []map[string]any{
			{"apiVersion": "v1", "kind": "Service", "metadata": meta(app), "spec": map[string]any{"selector": map[string]any{"app": app}, "ports": []any{map[string]any{"name": "http", "port": 80}}}},
			{"apiVersion": "v1", "kind": "Service", "metadata": meta(app + "-v2"), "spec": map[string]any{"selector": map[string]any{"app": app}, "ports": []any{map[string]any{"name": "http", "port": 80}}}},
			{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": app, "namespace": ns, "labels": map[string]any{"app": app}}, "spec": map[string]any{"serviceAccountName": app, "containers": []any{}}},
			{"apiVersion": "access.smi-spec.io/v1alpha3", "kind": "TrafficTarget", "metadata": meta(app), "spec": map[string]any{"destination": map[string]any{"kind": "ServiceAccount", "name": app, "namespace": ns},
				"sources": []any{map[string]any{"kind": "ServiceAccount", "name": "web", "namespace": ns}}, "rules": []any{map[string]any{"kind": "TCPRoute", "name": "all"}}}},
			{"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit", "metadata": meta(app), "spec": map[string]any{"service": app, "backends": []any{
				map[string]any{"service": app, "weight": 90}, map[string]any{"service": app + "-v2", "weight": 10}}}},
		} {
			text, err := json.Marshal(o)
			if err != nil {
				b.Fatal(err)
			}
			decoded, _ := decoder.Decode(text)
			edits = append(edits, input.Edit{ID: decoded.ID, Objects: []input.Object{decoded}})
			values = append(values, policies.NewObject(o))
		}
	}
	e := engine.New(all.Pipeline(), nil, nil)
	e.KeepGood(true)
	e.Bind(input.Settings{Complete: true}, nil, []engine.Bound{{Target: translators.Target{Name: "mesh", Backend: "istio"}}})
	e.Apply(edits)
	if err := inventory.Put(values...); err != nil {
		b.Fatal(err)
	}
	rules, err := policies.NewLive(inventory, policies.Shipped(), nil)
	if err != nil {
		b.Fatal(err)
	}
	h := New(still{engine: e}, rules, nil, Options{Schemas: all.Pipeline().Schemas(), Deadline: time.Minute})
	old, now := values[4].Value, map[string]any{}
	for k, v := range old {
		now[k] = v
	}
	now["spec"] = map[string]any{"service": "app0", "backends": []any{map[string]any{"service": "app0", "weight": 80}, map[string]any{"service": "app0-v2", "weight": 20}}}
	q := request(admissionv1.Update, nil, nil)
	q.Object.Raw, _ = json.Marshal(now)
	q.OldObject.Raw, _ = json.Marshal(old)
	q.Namespace, q.Name = "ns-0", "app0"
	if r := ask(b, h, q); !r.Allowed {
		b.Fatalf("%+v", r)
	}
	begin := processors(b)
	for b.Loop() {
		ask(b, h, q)
	}
	b.ReportMetric(float64((processors(b)-begin).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

// processors is the time that this program has had of processors.
func processors(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

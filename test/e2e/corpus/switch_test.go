package corpus_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// shop is a namespace with a split and a grant.
func shop(namespace, mesh string) string {
	return strings.NewReplacer("NAMESPACE", namespace, "MESH", mesh).Replace(`
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE, labels: {mesh: MESH}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: api, namespace: NAMESPACE}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: NAMESPACE}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: NAMESPACE}
spec: {ports: [{name: http, port: 80, targetPort: 8080}], selector: {app: api}}
---
apiVersion: v1
kind: Service
metadata: {name: api-v1, namespace: NAMESPACE}
spec: {ports: [{name: http, port: 80, targetPort: 8080}], selector: {app: api, version: v1}}
---
apiVersion: v1
kind: Service
metadata: {name: api-v2, namespace: NAMESPACE}
spec: {ports: [{name: http, port: 80, targetPort: 8080}], selector: {app: api, version: v2}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api, version: v1}}
    spec: {serviceAccountName: api, containers: [{name: api, image: api, ports: [{containerPort: 8080}]}]}
---
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: api, namespace: NAMESPACE}
spec: {service: api, backends: [{service: api-v1, weight: 9}, {service: api-v2, weight: 1}]}
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: api, namespace: NAMESPACE}
spec: {matches: [{name: read, pathRegex: /read, methods: [GET]}]}
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: api, namespace: NAMESPACE}
spec:
  destination: {kind: ServiceAccount, name: api, namespace: NAMESPACE}
  sources: [{kind: ServiceAccount, name: web, namespace: NAMESPACE}]
  rules: [{kind: HTTPRouteGroup, name: api, matches: [read]}]
`)
}

// inOrder holds the controller's writes of objects of meshes against an order: what
// creates before what deletes.
func (w *world) inOrder(writes []string) {
	w.t.Helper()
	deletes := slices.IndexFunc(writes, func(s string) bool { return strings.HasPrefix(s, "delete ") && ofMesh(s) })
	last := -1
	for i, s := range writes {
		if strings.HasPrefix(s, "patch ") && ofMesh(s) {
			last = i
		}
	}
	if deletes < 0 || last < 0 || deletes < last {
		w.t.Errorf("first delete is write %d, last patch write %d of\n%s", deletes, last, strings.Join(writes, "\n"))
	}
}

func ofMesh(write string) bool {
	return slices.ContainsFunc([]string{"/networking.istio.io/", "/security.istio.io/", "/policy.linkerd.io/", "/gateway.networking.k8s.io/", "/consul.hashicorp.com/"},
		func(group string) bool { return strings.Contains(write, group) }) && !strings.Contains(write, "/status")
}

// A binding moves from one mesh to another: the new is written before the old is
// deleted. What is withheld replaces nothing. Deleted, it leaves nothing, whether or
// not a controller sees that. The controller has no more rights than the chart gives it
// by default, which is not those of all meshes whose kinds are there.
func TestSwitch(t *testing.T) {
	w := newWorld(t)
	w.apply(shop("shop", "moving"))
	w.bind("moving", "{name: istio}", "")
	first := w.controller()
	onIstio := w.exact("on istio")
	w.saysOf("moving", v1alpha1.ConditionProgrammed, "True/Programmed")

	before := len(w.writes(0))
	w.bind("moving", "{name: gateway-api, options: {authorization: istio}}", "")
	onGateway := w.exact("on gateway-api")
	w.saysOf("moving", v1alpha1.ConditionProgrammed, "True/Programmed")
	if _, stays := onGateway["networking.istio.io/VirtualService shop/api"]; stays || cmp.Equal(onIstio, onGateway) {
		t.Errorf("both meshes have the same: %v", onGateway)
	}
	w.inOrder(w.writes(before))

	w.bind("moving", "{name: linkerd}", "  access: strict\n")
	w.saysOf("moving", v1alpha1.ConditionProgrammed, "False/Withheld")
	if d := cmp.Diff(onGateway, w.live()); d != "" {
		t.Errorf("while the output is withheld something else is in force (-before +now):\n%s", d)
	}
	w.bind("moving", "{name: istio}", "  access: selected\n")
	w.exact("on istio again")

	w.delete("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", "moving")
	w.exact("without a binding")
	w.eventually("no reports", func() (bool, any) {
		list, err := w.List("meshknot.io/v1alpha1", v1alpha1.KindTranslationReport, "")
		return err == nil && len(list) == 0, list
	})

	w.bind("moving", "{name: istio}", "")
	w.exact("with a binding again")
	first.Stop()
	w.delete("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", "moving")
	w.apply("{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: theirs, namespace: shop, labels: {" +
		sink.ManagedByLabel + ": meshknot, " + sink.PartOfLabel + ": " + sink.ApplySetID("moving") + "}}, spec: {hosts: [theirs]}}")
	if len(w.live()) < 2 {
		t.Fatalf("nothing is left behind: %v", w.live())
	}
	w.controller()
	w.eventually("what a binding left that went unseen to go", func() (bool, any) {
		left := w.live()
		_, theirs := left["networking.istio.io/VirtualService shop/theirs"]
		return len(left) == 1 && theirs, left
	})
}

// Consul: a binding has its finalizer before anything is written, and goes only when
// nothing of it is left, whoever ran when it was deleted.
func TestFinalizer(t *testing.T) {
	w := newWorld(t, lab.Consul)
	w.apply(shop("shop", "in-consul"))
	proxy := w.between()
	give := w.take("meshbindings", "patch")
	first := w.controller("--consul-address=" + proxy.address)
	w.bind("in-consul", "{name: consul, options: {form: config}}", "")
	w.eventually("attempts to guard the binding, which are refused", func() (bool, any) {
		writes := w.writes(0)
		tried := slices.DeleteFunc(slices.Clone(writes), func(s string) bool { return s != "patch /apis/meshknot.io/v1alpha1/meshbindings/in-consul" })
		return len(tried) >= 5, writes
	})
	if said := proxy.said(); len(said) > 0 {
		t.Errorf("without a finalizer there are %d writes to Consul", len(said))
	}
	give()
	w.exact("in Consul")
	if said := proxy.said(); len(said) == 0 || slices.Contains(said, "unguarded") {
		t.Errorf("at the writes the finalizer was %q", said)
	}
	first.Stop()
	w.delete("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", "in-consul")
	binding := cluster.Object("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", "in-consul")
	if w.gone(binding) || len(w.entries()) == 0 {
		t.Fatal("the binding went, and left entries behind")
	}
	w.controller("--consul-address=" + w.consul.HTTP)
	w.eventually("no binding and no entries", func() (bool, any) {
		left := w.entries()
		return w.gone(binding) && len(left) == 0, left
	})
}

// Two bindings make objects of the same name: the older one has them, the younger says
// so and does not fight, and gets them when the older one goes.
func TestClaims(t *testing.T) {
	w := newWorld(t)
	w.grant("linkerd", "gateway-api-linkerd")
	w.apply(shop("shop", "older"))
	w.bind("older", "{name: linkerd}", "")
	w.eventually("a second in which the next binding is younger", func() (bool, any) {
		w.bind("younger", "{name: gateway-api, options: {authorization: linkerd}}", "  trustDomain: other.example\n")
		a, err := w.Get(cluster.Object("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", "older"))
		b, also := w.Get(cluster.Object("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", "younger"))
		if err != nil || also != nil {
			return false, fmt.Sprint(err, also)
		}
		if cluster.Dig(a, "metadata", "creationTimestamp") != cluster.Dig(b, "metadata", "creationTimestamp") {
			return true, nil
		}
		w.delete("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", "younger")
		return false, b
	})
	w.controller()
	w.exact("with one binding")
	if _, err := w.Patch(cluster.Object("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", "younger"),
		lab.Object{"spec": lab.Object{"namespaceSelector": lab.Object{"matchLabels": lab.Object{"mesh": "older"}}}}); err != nil {
		t.Fatal(err)
	}
	made := w.exact("with two bindings")
	w.eventually("a report that the younger one has to stand back", func() (bool, any) {
		r := w.Report("access.smi-spec.io", "TrafficTarget", "shop", "api", "younger")
		return r.Conditions[v1alpha1.ConditionProgrammed] == "False/Claimed", r
	})
	w.saysOf("younger", v1alpha1.ConditionProgrammed, "False/Claimed")
	w.saysOf("older", v1alpha1.ConditionProgrammed, "True/Programmed")
	contested := 0
	for _, p := range made {
		if p.Binding == "older" {
			contested++
		}
	}
	if contested == 0 {
		t.Fatal("the older binding has nothing")
	}
	before := w.writes(0)
	if _, err := w.Patch(cluster.Object(splitVersion, "TrafficSplit", "shop", "api"), []any{lab.Object{"op": "replace", "path": "/spec/backends/0/weight", "value": 3}}); err != nil {
		t.Fatal(err)
	}
	w.exact("after an edit")
	written := map[string]int{}
	for _, s := range w.writes(len(before)) {
		if written[s]++; ofMesh(s) && written[s] > 1 {
			t.Errorf("one edit, and %s was written %d times", s, written[s])
		}
	}
	w.delete("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", "older")
	w.exact("without the older one")
	w.saysOf("younger", v1alpha1.ConditionProgrammed, "True/Programmed")
}

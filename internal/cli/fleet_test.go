package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/webhook"
)

const fleetObjects = `
apiVersion: v1
kind: Namespace
metadata: {name: meshknot-system}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: meshknot, namespace: meshknot-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: meshknot, namespace: meshknot-system, labels: {app.kubernetes.io/name: meshknot}}
spec:
  replicas: 2
  selector: {matchLabels: {app: meshknot}}
  template:
    metadata: {labels: {app: meshknot}}
    spec: {serviceAccountName: meshknot, containers: [{name: controller, image: meshknot}]}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: meshknot-controller, namespace: meshknot-system}
spec: {holderIdentity: pod-a, leaseDurationSeconds: 15, renewTime: "2020-01-01T00:00:00.000000Z"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: meshknot}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: meshknot, namespace: meshknot-system}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: meshknot}
webhooks:
- name: policies.meshknot.io
  sideEffects: None
  admissionReviewVersions: [v1]
  failurePolicy: Ignore
  clientConfig: {service: {namespace: meshknot-system, name: meshknot-webhook}}
`

const fleetBound = `
apiVersion: meshknot.io/v1alpha1
kind: MeshBinding
metadata: {name: shop-istio}
spec: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}, backend: {name: istio, version: "1.31"}}
---
apiVersion: meshknot.io/v1alpha1
kind: TranslationReport
metadata: {name: trafficsplit.split.reviews, namespace: shop}
status:
  source: {apiVersion: split.smi-spec.io/v1alpha4, kind: TrafficSplit, name: reviews}
  backends:
  - binding: shop-istio
    backend: istio
    conditions:
    - {type: Accepted, status: "True", reason: Accepted, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}
    - {type: Programmed, status: "False", reason: Foreign, message: "not\u001b[2Jours", lastTransitionTime: "2026-01-01T00:00:00Z"}
    - {type: LossFree, status: "False", reason: Narrowed, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}
`

func fleetCondition(kind, status string) lab.Object {
	return lab.Object{"type": kind, "status": status, "reason": "Because", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
}

// says demands an exit status, and lines of the output.
func says(t *testing.T, code int, args []string, lines ...string) {
	t.Helper()
	got := run(t, args...)
	if got.code != code {
		t.Errorf("%v: exit status %d, want %d:\n%s%s", args, got.code, code, got.out, got.err)
	}
	for _, line := range lines {
		if !strings.Contains(got.out, line) {
			t.Errorf("%v does not say %q:\n%s%s", args, line, got.out, got.err)
		}
	}
	if strings.Contains(got.out, "\x1b") {
		t.Errorf("%v lets what is in the cluster act on a terminal", args)
	}
}

// What a cluster says, from an empty one to one in which everything is in force.
func TestFleet(t *testing.T) {
	l, k := lab.KubeForTest(t)
	t.Setenv("KUBECONFIG", k.Kubeconfig)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	says(t, exitOK, []string{"check", "--pre"}, "√ you may install definitions", "√ meshbindings.meshknot.io can be installed")
	says(t, exitNo, []string{"check"}, "× meshbindings.meshknot.io is served: there is no such definition", "‼ trafficsplits.split.smi-spec.io is served", "    hint: install the definitions")
	says(t, exitCannot, []string{"status", "--cluster"})

	must(k.Define(lab.OurCRDs, lab.GatewayAPICRDs))
	must(k.ApplyYAML(fleetObjects))
	must(k.ApplyYAML(fleetBound))
	says(t, exitNo, []string{"check"},
		"√ meshbindings.meshknot.io is served: in v1alpha1", "√ Gateway API is served: v1.",
		"× the controller's account may read policies and report on them: may not", "× the controller's account may write for istio: may not",
		"× meshknot policies.meshknot.io has a CA bundle: it is empty", "meshknot-system/meshknot-webhook: none is ready: objects are taken unseen (failurePolicy Ignore)",
		"× its replicas in namespace meshknot-system are ready: Deployment meshknot has 0 of 2", "‼ meshknot policies.meshknot.io leaves the controller and the cluster alone: it is asked about objects of kube-system and meshknot-system",
		"× one replica has the lease to write: pod-a has not renewed",
		"× shop-istio is accepted and in force: no controller has looked at it", "× what was asked for is in force: TrafficSplit shop/reviews on shop-istio: Foreign, of 1 objects")
	says(t, exitNo, []string{"status", "--cluster"},
		"shop-istio  istio@1.31  selected  0           0        Unknown   Unknown     no controller has looked at it as it is",
		"shop       shop-istio  1        0           1", "Programmed  0     1      0",
		"TrafficSplit shop/reviews  shop-istio  Programmed  Foreign  not?[2Jours")

	stranger, err := k.User("somebody")
	must(err)
	says(t, exitCannot, []string{"status", "--cluster", "--kubeconfig", stranger.Kubeconfig})
	says(t, exitNo, []string{"check", "--pre", "--kubeconfig", stranger.Kubeconfig}, "× you may install webhooks: may not create validatingwebhookconfigurations.admissionregistration.k8s.io")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &heard{}
	ended := make(chan error, 1)
	go func() {
		root := Root(strings.NewReader(""), out, io.Discard)
		root.SetArgs([]string{"status", "--cluster", "--watch"})
		ended <- root.ExecuteContext(ctx)
	}()
	must(l.Eventually("state", 30*time.Second, func() bool { return strings.Contains(out.String(), "Foreign") }))

	must(repair(l, k))
	says(t, exitOK, []string{"check"}, "√ the controller's account may write for istio", "√ shop-istio is accepted and in force: istio, 1 namespaces, 3 objects", "√ one replica has the lease to write: pod-a",
		"√ meshknot validate.meshknot.io can be reached: failurePolicy Ignore", "√ meshknot fail.own.meshknot.io leaves the controller and the cluster alone", "√ meshknot rules.meshknot.io leaves the cluster alone", "√ rules in ConfigMaps are in order: there are none", "√ what was asked for is in force: 1 objects, of which 1 lose something")
	says(t, exitOK, []string{"status", "--cluster"}, "shop-istio  istio@1.31  selected  1           3        True      True")
	must(l.Eventually("change", 30*time.Second, func() bool {
		text := out.String()
		return !strings.Contains(text[strings.LastIndex(text, "BINDING  "):], "Foreign") && strings.Contains(text, "True      True")
	}))
	cancel()
	must(<-ended)

	var doc struct {
		Kind   string
		Failed int
	}
	got := run(t, "check", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil || doc.Kind != "Check" || doc.Failed != 0 {
		t.Errorf("%v: %s", err, got.out)
	}
	got = run(t, "status", "--cluster", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil || doc.Kind != "Fleet" {
		t.Errorf("%v: %s", err, got.out)
	}
	k.Stop()
	says(t, exitCannot, []string{"check"})
	says(t, exitCannot, []string{"status", "--cluster", "--watch"})
}

// repair makes everything hold that check looks at.
func repair(l *lab.Lab, k *lab.Kube) error {
	files, err := l.Files("spiffe://lab/webhook")
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(files.CA)
	if err != nil {
		return err
	}
	for _, patch := range []struct{ of, with lab.Object }{
		{lab.Object{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": lab.Object{"name": "meshknot-controller", "namespace": "meshknot-system"}},
			lab.Object{"spec": lab.Object{"renewTime": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00")}}},
		{lab.Object{"apiVersion": "meshknot.io/v1alpha1", "kind": "TranslationReport", "metadata": lab.Object{"name": "trafficsplit.split.reviews", "namespace": "shop"}},
			lab.Object{"status": lab.Object{"backends": []any{lab.Object{"binding": "shop-istio", "backend": "istio",
				"conditions": []any{fleetCondition("Accepted", "True"), fleetCondition("Programmed", "True"), fleetCondition("LossFree", "False")}}}}}},
		{lab.Object{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": lab.Object{"name": "meshknot"}},
			lab.Object{"webhooks": webhook.Registration{Namespace: "meshknot-system", Service: "meshknot-webhook", CABundle: authority}.Configuration().Webhooks}},
	} {
		if _, err := k.Patch(patch.of, patch.with); err != nil {
			return err
		}
	}
	for _, o := range []lab.Object{
		{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": lab.Object{"name": "meshknot-webhook-1", "namespace": "meshknot-system", "labels": lab.Object{"kubernetes.io/service-name": "meshknot-webhook"}},
			"addressType": "IPv4", "endpoints": []any{lab.Object{"addresses": []any{"10.0.0.1"}}}},
		{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": lab.Object{"name": "all"}, "roleRef": lab.Object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
			"subjects": []any{lab.Object{"kind": "ServiceAccount", "name": "meshknot", "namespace": "meshknot-system"}}},
	} {
		if err := k.Apply(o); err != nil {
			return err
		}
	}
	if err := k.ApplyStatus(lab.Object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": lab.Object{"name": "meshknot", "namespace": "meshknot-system"},
		"status": lab.Object{"replicas": 2, "readyReplicas": 2}}); err != nil {
		return err
	}
	return k.ApplyStatus(lab.Object{"apiVersion": "meshknot.io/v1alpha1", "kind": "MeshBinding", "metadata": lab.Object{"name": "shop-istio"},
		"status": lab.Object{"observedGeneration": 1, "namespaces": 1, "objects": 3, "conditions": []any{fleetCondition("Accepted", "True"), fleetCondition("Programmed", "True")}}})
}

// heard is a writer that is read while it is written.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// The proxies of a server, and what they refused.
func TestProxies(t *testing.T) {
	s := xds.New(xds.Options{})
	admin := httptest.NewServer(s.Admin())
	says(t, exitOK, []string{"status", "proxies", "--admin", admin.Listener.Addr().String()}, "PROXY  BACKEND  NAMESPACE  ACCOUNT  IN SYNC")
	says(t, exitOK, []string{"status", "proxies", "--admin", admin.Listener.Addr().String(), "-o", "json"}, `"nodes": []`)
	admin.Close()
	says(t, exitCannot, []string{"status", "proxies", "--admin", admin.Listener.Addr().String()})
	says(t, exitCannot, []string{"status", "proxies", "--watch", "--admin", admin.Listener.Addr().String()})
	text, err := proxiesText(xds.Status{Nodes: []xds.NodeStatus{
		{Node: "web-0", Backend: "envoy", Namespace: "shop", Account: "web", InSync: true, Acks: 4},
		{Node: "web-1", Backend: "envoy", Namespace: "shop", Account: "web", Acks: 3, Nacks: 1,
			LastNack: &xds.Nack{Time: time.Unix(0, 0), Resource: "shop/reviews", Text: "no\nsuch filter"}},
	}}, "text")
	const want = `PROXY  BACKEND  NAMESPACE  ACCOUNT  IN SYNC  ACKS  NACKS  LAST NACK
web-0  envoy    shop       web      yes      4     0
web-1  envoy    shop       web      no       3     1      1970-01-01T00:00:00Z shop/reviews: no?such filter
`
	if err != nil || string(text) != want {
		t.Errorf("%v: got\n%s\nwant\n%s", err, text, want)
	}
}

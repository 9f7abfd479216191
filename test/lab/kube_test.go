package lab_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/meshknot/meshknot/internal/demo/ca"
	"github.com/meshknot/meshknot/test/lab"
)

func configMap(name string, data lab.Object) lab.Object {
	return lab.Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": lab.Object{"name": name, "namespace": "shop"}, "data": data}
}

const shop = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: List
items:
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata: {name: reader, namespace: shop}
  rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: reader, namespace: shop}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
  subjects:
  - {kind: ServiceAccount, name: web, namespace: shop}
  - {apiGroup: rbac.authorization.k8s.io, kind: Group, name: auditors}
---
# A namespace is applied before what is in it.
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`

// One server for what a test of a cluster asks of it, step by step.
func TestKube(t *testing.T) {
	lab.Need(t, lab.Etcd, lab.KubeAPIServer)
	l := lab.ForTest(t)
	k, err := l.StartKubeWith(lab.KubeOptions{Audit: true})
	must(t, err)
	must(t, k.ApplyYAML(shop))
	t.Run("objects", func(t *testing.T) { testObjects(t, k) })
	t.Run("users", func(t *testing.T) { testUsers(t, k) })
	t.Run("definitions", func(t *testing.T) { testDefinitions(t, k) })
	t.Run("admission", func(t *testing.T) { testAdmission(t, l, k) })
	t.Run("outage", func(t *testing.T) { testOutage(t, k) })
}

func testObjects(t *testing.T, k *lab.Kube) {
	made, err := k.Create(configMap("a", lab.Object{"x": "1"}))
	must(t, err)
	if _, err := k.Create(configMap("a", nil)); !lab.IsStatus(err, http.StatusConflict) {
		t.Errorf("created twice: %v", err)
	}
	patched, err := k.Patch(made, []any{lab.Object{"op": "replace", "path": "/data/x", "value": "2"}})
	must(t, err)
	if patched["data"].(lab.Object)["x"] != "2" {
		t.Errorf("patched: %v", patched)
	}
	if _, err = k.Update(made); !lab.IsStatus(err, http.StatusConflict) {
		t.Errorf("an update of an older version: %v", err)
	}
	patched, err = k.Patch(made, lab.Object{"data": lab.Object{"x": nil, "y": "3"}})
	must(t, err)
	if updated, err := k.Update(patched); err != nil || len(updated["data"].(lab.Object)) != 1 {
		t.Errorf("updated: %v %v", updated, err)
	}
	must(t, k.Apply(configMap("b", nil)))
	list, err := k.List("v1", "ConfigMap", "shop")
	must(t, err)
	if len(list) != 2 || list[1]["kind"] != "ConfigMap" {
		t.Errorf("listed: %v", list)
	}
	if _, err := k.DryRun(configMap("c", nil)); err != nil {
		t.Error(err)
	}
	if _, err := k.Get(configMap("c", nil)); !lab.IsStatus(err, http.StatusNotFound) {
		t.Errorf("what was tried alone is there: %v", err)
	}
	seen, err := k.Audited()
	must(t, err)
	if !slices.ContainsFunc(seen, func(e lab.Object) bool {
		ref, _ := e["objectRef"].(lab.Object)
		return e["verb"] == "patch" && ref["name"] == "a"
	}) {
		t.Errorf("%d events, and none of the patch", len(seen))
	}
}

func testUsers(t *testing.T, k *lab.Kube) {
	auditor, err := k.User("alice", "auditors")
	must(t, err)
	stranger, err := k.User("mallory")
	must(t, err)
	account, err := k.ServiceAccount("shop", "web")
	must(t, err)
	for name, test := range map[string]struct {
		as    *lab.Kube
		reads bool
	}{"a group": {auditor, true}, "nobody": {stranger, false}, "an account": {account, true}} {
		config, err := test.as.Config()
		must(t, err)
		client, err := kubernetes.NewForConfig(config)
		must(t, err)
		_, err = client.CoreV1().ConfigMaps("shop").List(context.Background(), metav1.ListOptions{})
		_, own := test.as.List("v1", "ConfigMap", "shop")
		if err == nil != test.reads || own == nil != test.reads {
			t.Errorf("%s: %v, %v", name, err, own)
		}
		if err := test.as.Apply(configMap("a", nil)); !lab.IsStatus(err, http.StatusForbidden) {
			t.Errorf("%s writes: %v", name, err)
		}
	}
}

func testDefinitions(t *testing.T, k *lab.Kube) {
	must(t, k.Define(lab.OurCRDs))
	split := lab.Object{"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit", "metadata": lab.Object{"name": "s", "namespace": "shop"},
		"spec": lab.Object{"service": "s", "backends": []any{lab.Object{"service": "s-v1", "weight": 1}}}}
	must(t, k.Apply(split))
	lab.NeedCRDs(t, lab.LinkerdCRDs, lab.ConsulCRDs)
	must(t, k.Define(lab.LinkerdCRDs, lab.ConsulCRDs))
	must(t, k.Apply(lab.Object{"apiVersion": "consul.hashicorp.com/v1alpha1", "kind": "ServiceResolver", "metadata": lab.Object{"name": "s", "namespace": "shop"}}))
}

// An admission webhook on loopback is asked, and its words reach the user.
func testAdmission(t *testing.T, l *lab.Lab, k *lab.Kube) {
	files, err := l.Files("spiffe://lab/webhook")
	must(t, err)
	hook := reviewer(t, files)
	authority, err := os.ReadFile(files.CA)
	must(t, err)
	must(t, k.Apply(lab.Object{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": lab.Object{"name": "lab"},
		"webhooks": []any{lab.Object{
			"name": "lab.meshknot.io", "sideEffects": "None", "admissionReviewVersions": []any{"v1"}, "failurePolicy": "Fail",
			"clientConfig": lab.Object{"url": hook, "caBundle": authority},
			"rules":        []any{lab.Object{"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"*"}, "resources": []any{"configmaps"}, "scope": "Namespaced"}},
		}}}))
	// The server begins to ask some time after it was told.
	must(t, l.Eventually("denial", 30*time.Second, func() bool { _, err = k.DryRun(configMap("denied", nil)); return err != nil }))
	if !lab.IsStatus(err, http.StatusTeapot) || !strings.Contains(err.Error(), "not this one") {
		t.Errorf("denied: %v", err)
	}
	warned, err := k.ApplyWarned(configMap("warned", nil))
	if err != nil || !slices.Equal(warned, []string{`mind "this"`}) {
		t.Errorf("warned: %q %v", warned, err)
	}
	seen, err := k.Audited()
	must(t, err)
	if !slices.ContainsFunc(seen, func(e lab.Object) bool {
		notes, _ := e["annotations"].(lab.Object)
		return notes["lab.meshknot.io/note"] == "seen"
	}) {
		t.Error("no event has the webhook's annotation")
	}
	must(t, k.Delete(lab.Object{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": lab.Object{"name": "lab"}}))
}

// reviewer serves a webhook: it denies what is called "denied", and warns of all else.
func reviewer(t *testing.T, files ca.Files) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct{ Request struct{ UID, Name string } }
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		response := lab.Object{"uid": review.Request.UID, "allowed": review.Request.Name != "denied", "warnings": []string{`mind "this"`},
			"auditAnnotations": lab.Object{"note": "seen"}, "status": lab.Object{"code": http.StatusTeapot, "message": "not this one"}}
		_ = json.NewEncoder(w).Encode(lab.Object{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
	}))
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	must(t, err)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
}

// What is stored outlives the server, and a watch of long ago is refused.
func testOutage(t *testing.T, k *lab.Kube) {
	first, err := k.Get(configMap("a", nil))
	must(t, err)
	must(t, k.Apply(configMap("a", lab.Object{"x": "later"})))
	k.Stop()
	k.Stop()
	if _, err := k.Get(configMap("a", nil)); err == nil || lab.IsStatus(err, http.StatusNotFound) {
		t.Errorf("a server that is stopped: %v", err)
	}
	must(t, k.Compact())
	must(t, k.Start())
	must(t, k.Start())
	last, err := k.Get(configMap("a", nil))
	must(t, err)
	if last["data"].(lab.Object)["x"] != "later" {
		t.Errorf("after the outage: %v", last)
	}
	config, err := k.Config()
	must(t, err)
	client, err := kubernetes.NewForConfig(config)
	must(t, err)
	w, err := client.CoreV1().ConfigMaps("shop").Watch(context.Background(), metav1.ListOptions{ResourceVersion: first["metadata"].(lab.Object)["resourceVersion"].(string)})
	must(t, err)
	defer w.Stop()
	event := <-w.ResultChan()
	status, ok := event.Object.(*metav1.Status)
	if !ok || status.Code != http.StatusGone {
		t.Errorf("a watch of long ago gets %v %v", event.Type, event.Object)
	}
}

// The program under test is built of the checkout, serves, and ends when it is asked to.
func TestStartMeshknot(t *testing.T) {
	l := lab.ForTest(t)
	port, err := lab.FreePort()
	must(t, err)
	examples, err := filepath.Abs("../../examples/bookstore")
	must(t, err)
	p, err := l.StartMeshknot("serve", "-f", examples, "--xds-listen", "127.0.0.1:0", "--admin-listen", lab.Local(port))
	must(t, err)
	must(t, l.Ready(p, "http://"+lab.Local(port)+"/readyz", 30*time.Second))
	must(t, p.Terminate(30*time.Second))
	if died, _ := p.Died(); died {
		t.Error("a process that was asked to end died")
	}
}

package faults

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// A namespace is deleted with all that is in it, which takes its time: what was made
// goes before what it is made of, and cannot be made again. The controller neither
// fights that nor is held up by it, and when the namespace comes back so does all else.
func TestNamespaceDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.KubeOptions{}, everything...)
	policies := []lab.Object{group("GET"), target(), split(10)}
	second := lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": "other", "labels": lab.Object{"mesh": "here"}}}
	w.must(w.ApplyYAML(elsewhere))
	w.must(w.Apply(second))
	w.must(w.Apply(bound(binding, onIstio)))
	for _, o := range policies {
		w.must(w.Apply(o))
	}
	r := w.replica("--roles=writer")
	w.inForce(binding, 1)
	kinds := w.written()
	w.barrier()
	want := w.snapshot(kinds)
	writes := len(w.gate.written(""))

	// Nobody finishes what this begins: there is no controller of namespaces.
	w.must(w.Delete(cluster.Object("v1", "Namespace", "", shop)))
	w.purge(networking, "VirtualService")
	w.purge(security, "AuthorizationPolicy", "PeerAuthentication")
	w.must(w.Apply(split(20))) // an edit, which cannot be put in force
	w.eventually("report that says why", func() (bool, any) {
		said := w.splitReport(binding)
		return said.Generation == 2 && said.Conditions["Programmed"] == "Unknown/Retrying", said
	})
	elsewhere := split(1)
	elsewhere["metadata"] = lab.Object{"name": "ratings", "namespace": "other"}
	elsewhere["spec"].(lab.Object)["service"] = "ratings"
	w.must(w.Apply(elsewhere))
	w.eventually("another namespace that is served meanwhile", func() (bool, any) {
		said := w.Report(splitGroup, "TrafficSplit", "other", "ratings", binding)
		return said.Generation == 1 && said.Conditions["Accepted"] != "", said
	})
	w.must(w.Delete(elsewhere))
	for _, o := range policies {
		w.must(w.Delete(o))
	}
	w.purge("meshknot.io/v1alpha1", "TranslationReport")
	w.purge("apps/v1", "Deployment")
	w.purge("v1", "Service", "ServiceAccount")
	w.finalize(shop)
	w.eventually("binding of one namespace that is in force", func() (bool, any) {
		o, err := w.Get(bound(binding, onIstio))
		if err != nil {
			return false, err
		}
		state, message := w.condition(binding, "Programmed")
		return state == "True/Programmed" && cluster.Dig(o, "status", "namespaces") == 1.0, state + ": " + message
	})
	w.barrier()
	for _, k := range kinds {
		left, err := w.of(k)
		w.must(err)
		for at := range left {
			if k.kind != "MeshBinding" {
				t.Errorf("left over is %s", at)
			}
		}
	}
	if n := len(w.gate.written("")) - writes; n > 100 {
		t.Errorf("%d writes for a namespace on its way out", n)
	}
	w.ready(r)

	w.bookstore()
	for _, o := range policies {
		w.must(w.Apply(o))
	}
	w.becomes("the same as before", kinds, want)
}

// purge deletes what there is of kinds in the shop, as a controller of namespaces does.
func (w *world) purge(version string, kinds ...string) {
	w.Helper()
	for _, kind := range kinds {
		list, err := w.List(version, kind, shop)
		w.must(err)
		for _, o := range list {
			w.must(w.Delete(cluster.Object(version, kind, shop, o["metadata"].(lab.Object)["name"].(string))))
		}
	}
}

// finalize ends a namespace that is being deleted, as such a controller does.
func (w *world) finalize(name string) {
	w.Helper()
	at := cluster.Object("v1", "Namespace", "", name)
	o, err := w.Get(at)
	w.must(err)
	o["spec"] = lab.Object{}
	text, err := json.Marshal(o)
	w.must(err)
	q, err := http.NewRequest(http.MethodPut, w.URL+"/api/v1/namespaces/"+name+"/finalize", bytes.NewReader(text))
	w.must(err)
	q.Header.Set("Content-Type", "application/json")
	a, err := w.administrator().Do(q)
	w.must(err)
	a.Body.Close()
	w.eventually("end of the namespace", func() (bool, any) {
		_, err := w.Get(at)
		return lab.IsStatus(err, http.StatusNotFound), a.Status
	})
}

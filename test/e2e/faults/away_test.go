package faults

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rs "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/webhook"
)

// While the API server is away a replica stays ready, serves proxies, old and new, as
// they were served before, and answers admission. When the API server is back, with a
// store that has forgotten what watches go on from, nothing is written that need not
// be, and what changes next takes effect.
func TestAPIServerAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.KubeOptions{}, everything...)
	// Two namespaces on two meshes: one is served over xDS, one is written.
	onEnvoy := bound("served", lab.Object{"name": "envoy"})
	onEnvoy["spec"].(lab.Object)["namespaceSelector"] = lab.Object{"matchLabels": lab.Object{"kubernetes.io/metadata.name": "other"}}
	w.must(w.ApplyYAML(elsewhere))
	for _, o := range []lab.Object{onEnvoy, bound(binding, onIstio), split(20), group("GET"), target()} {
		w.must(w.Apply(o))
	}
	r := w.replica("--leader-elect")
	w.inForce(binding, 1)
	old := w.proxy(r)
	before := old.first(w)
	w.barrier()
	kinds := w.written()
	state := w.snapshot(kinds)
	w.must(w.Compact())
	writes := len(w.gate.written(""))

	w.Stop()
	w.eventually("leader that knows that it may no longer write", func() (bool, any) { v := r.Metric("meshknot_leader"); return v == "0", v })
	w.ready(r)
	if got := w.proxy(r).first(w); got != before {
		t.Errorf("a new proxy is given\n%s\nand not\n%s", got, before)
	}
	if err := old.broken.Load(); err != nil {
		t.Errorf("a proxy that was there before was cut off: %v", err)
	}
	w.judged(r)
	w.ready(r)

	w.must(w.Start())
	w.eventually("leader", func() (bool, any) { v := r.Metric("meshknot_leader"); return v == "1", v })
	w.barrier()
	w.becomes("the same state", kinds, state)
	after := slices.DeleteFunc(w.gate.written("")[writes:], func(q write) bool { return strings.Contains(q.path, barrier) })
	if len(after) > 0 {
		t.Errorf("nothing had changed, and written was %v", after)
	}
	w.weight(21)
	if err := old.broken.Load(); err != nil {
		t.Errorf("a proxy that was there before was cut off: %v", err)
	}
}

const elsewhere = `
apiVersion: v1
kind: Namespace
metadata: {name: other}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: other}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: other}
spec: {ports: [{name: http, port: 80}], selector: {app: ratings}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: other}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {serviceAccountName: web, containers: [{name: web, image: "example.com/web:1"}]}
`

// proxy is a client of xDS that asks for listeners and clusters.
type proxy struct {
	got    chan *discoveryv3.DiscoveryResponse
	broken atomic.Value
}

func (w *world) proxy(r *cluster.Controller) *proxy {
	w.Helper()
	conn, err := grpc.NewClient(lab.Local(r.XDS), grpc.WithTransportCredentials(insecure.NewCredentials()))
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	p := &proxy{got: make(chan *discoveryv3.DiscoveryResponse, 16)}
	ended := make(chan struct{})
	w.Cleanup(func() { cancel(); conn.Close(); <-ended })
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	w.must(err)
	node := &corev3.Node{Id: "sidecar~other/web~" + fmt.Sprint(time.Now().UnixNano())}
	for _, kind := range []string{rs.ClusterType, rs.ListenerType} {
		w.must(stream.Send(&discoveryv3.DiscoveryRequest{Node: node, TypeUrl: kind}))
	}
	go func() {
		defer close(ended)
		for {
			a, err := stream.Recv()
			if err != nil {
				if ctx.Err() == nil {
					p.broken.Store(err)
				}
				return
			}
			ack := &discoveryv3.DiscoveryRequest{TypeUrl: a.TypeUrl, VersionInfo: a.VersionInfo, ResponseNonce: a.Nonce}
			if stream.Send(ack) == nil {
				p.got <- a
			}
		}
	}()
	return p
}

// first is what a proxy is given first, as text.
func (p *proxy) first(w *world) string {
	w.Helper()
	seen := map[string]string{}
	w.eventually("listeners and clusters", func() (bool, any) {
		select {
		case a := <-p.got:
			var all []string
			for _, r := range a.Resources {
				all = append(all, string(r.Value))
			}
			slices.Sort(all)
			seen[a.TypeUrl] = fmt.Sprintf("%d: %q", len(all), all)
		default:
		}
		return len(seen) == 2, seen
	})
	if strings.HasPrefix(seen[rs.ListenerType], "0:") {
		w.Errorf("there is no listener")
	}
	return seen[rs.ClusterType] + "\n" + seen[rs.ListenerType]
}

// judged asks a replica's webhook as an API server does: about a split that is well,
// and a report, which only the controller writes.
func (w *world) judged(r *cluster.Controller) {
	w.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.Authority)
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for _, c := range []struct {
		o        lab.Object
		resource string
		allowed  bool
	}{
		{split(1), "trafficsplits", true},
		{cluster.Object("meshknot.io/v1alpha1", "TranslationReport", shop, "mine"), "translationreports", false},
	} {
		version := c.o["apiVersion"].(string)
		of, v, _ := strings.Cut(version, "/")
		text, err := json.Marshal(lab.Object{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": lab.Object{
			"uid": "1", "operation": "CREATE", "namespace": shop, "name": c.o["metadata"].(lab.Object)["name"], "object": c.o,
			"kind":     lab.Object{"group": of, "version": v, "kind": c.o["kind"]},
			"resource": lab.Object{"group": of, "version": v, "resource": c.resource}, "userInfo": lab.Object{"username": "somebody"}}})
		w.must(err)
		a, err := client.Post("https://localhost:"+fmt.Sprint(r.Webhook)+webhook.ValidatePath, "application/json", bytes.NewReader(text))
		w.must(err)
		var said struct {
			Response struct {
				Allowed bool
				Status  struct{ Message string }
			}
		}
		err = json.NewDecoder(a.Body).Decode(&said)
		a.Body.Close()
		w.must(err)
		if said.Response.Allowed != c.allowed {
			w.Errorf("%s: allowed %v: %s", c.o["kind"], said.Response.Allowed, said.Response.Status.Message)
		}
	}
}

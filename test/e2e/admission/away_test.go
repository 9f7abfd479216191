package admission

import (
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshknot/meshknot/internal/demo/ca"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/webhook"
)

// TestWebhookAway: while the webhook is away, does not know everything or takes too
// long, the failurePolicy of each kind decides, and what must never be blocked is not.
func TestWebhookAway(t *testing.T) {
	w := newWorld(t, bound("mesh", "istio", report.Dropped, "shop"))
	p := start(t, w, webhook.Options{Deadline: 300 * time.Millisecond}, webhook.Registration{Timeout: 1,
		Policies: policiesOf("Fail", "TrafficTarget.access.smi-spec.io")})
	held := object(t, grant)
	open := object(t, split)
	binding := object(t, meshBinding("1.31"))
	expect := func(name, why string) {
		t.Helper()
		for _, o := range []lab.Object{held, binding} {
			_, err := p.kube.DryRun(o)
			if o["kind"] == "MeshBinding" && why == "caches" { // which needs no cache
				continue
			}
			if err == nil || !strings.Contains(err.Error(), "failed calling webhook") {
				t.Errorf("%s: %s with failurePolicy Fail: %v", name, o["kind"], err)
			}
		}
		if _, err := p.kube.DryRun(open); err != nil {
			t.Errorf("%s: TrafficSplit with failurePolicy Ignore: %v", name, err)
		}
		own := object(t, with(grant, "namespace: shop}, spec", "namespace: "+home+"}, spec"))
		if _, err := p.kube.DryRun(own); err != nil {
			t.Errorf("%s: own namespace: %v", name, err)
		}
		system := object(t, with(grant, "namespace: shop}, spec", "namespace: kube-system}, spec"))
		if _, err := p.kube.DryRun(system); err != nil {
			t.Errorf("%s: kube-system: %v", name, err)
		}
		lease := object(t, "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: leader, namespace: "+home+"}, spec: {holderIdentity: a}}")
		if err := p.kube.Apply(lease); err != nil {
			t.Errorf("%s: lease: %v", name, err)
		}
		if _, err := user(t, p, p.account).DryRun(held); err != nil {
			t.Errorf("%s: the controller: %v", name, err)
		}
	}
	w.set(func() { w.ready = false })
	expect("not ready", "caches")
	w.set(func() { w.ready = true })
	release := make(chan struct{})
	w.set(func() { w.wait = release })
	expect("too slow", "caches")
	close(release)
	w.set(func() { w.wait = nil })
	if _, err := p.kube.DryRun(held); err != nil {
		t.Errorf("it does not recover: %v", err)
	}
	p.stop()
	expect("away", "")
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// TestRotation: the certificate and its authority are exchanged under load, and no
// request fails; one that cannot be used leaves the old one in place.
func TestRotation(t *testing.T) {
	w := newWorld(t, bound("mesh", "istio", report.Dropped, "shop"))
	r := webhook.Registration{Foreign: "Fail"}
	p := start(t, w, webhook.Options{}, r)
	for _, o := range objects(t, known) {
		w.know(t, o)
	}
	var failed, asked atomic.Int64
	end := make(chan struct{})
	var load sync.WaitGroup
	for i := range 4 {
		load.Go(func() {
			o := object(t, with(split, "name: reviews, namespace", "name: load-"+string(rune('a'+i))+", namespace"))
			for {
				select {
				case <-end:
					return
				default:
				}
				if _, err := p.kube.DryRun(o); err != nil {
					if failed.Add(1) == 1 {
						t.Error(err)
					}
				}
				asked.Add(1)
			}
		})
	}
	more := func() { // requests that are asked after what went before
		t.Helper()
		from := asked.Load()
		if err := p.lab.Eventually("load", 20*time.Second, func() bool { return asked.Load() > from+50 }); err != nil {
			t.Fatal(err)
		}
	}
	more()
	if err := os.WriteFile(p.dir+"/tls.crt", []byte("half a certi"), 0o600); err != nil {
		t.Fatal(err)
	}
	more()
	for range 3 { // a new authority each time, known before its certificate is served
		next, err := ca.New()
		if err != nil {
			t.Fatal(err)
		}
		dir, err := p.lab.NewDir("next")
		if err != nil {
			t.Fatal(err)
		}
		files, err := next.Write(dir, "spiffe://lab/webhook")
		if err != nil {
			t.Fatal(err)
		}
		authority, err := os.ReadFile(files.CA)
		if err != nil {
			t.Fatal(err)
		}
		r.URL, r.Namespace, r.Account = p.url, home, p.account
		r.CABundle = append(append([]byte{}, p.ca...), authority...)
		p.register(t, r)
		more()
		install(t, p.dir, files.Cert, files.Key)
		more()
		r.CABundle, p.ca = authority, authority
		p.register(t, r)
		more()
	}
	close(end)
	load.Wait()
	t.Logf("%d requests, %d failed", asked.Load(), failed.Load())
}

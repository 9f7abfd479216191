package admission

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/webhook"
)

// TestRotator: cert-controller makes the authority; the API server is told of it
// before it is used, and again when the authority is another one, and no request
// that is made meanwhile fails.
func TestRotator(t *testing.T) {
	w := newWorld(t, bound("mesh", "istio", report.Dropped, "shop"))
	p := start(t, w, webhook.Options{}, webhook.Registration{Foreign: "Fail"})
	for _, o := range objects(t, known) {
		w.know(t, o)
	}
	p.apply(t, "{apiVersion: v1, kind: Secret, metadata: {name: webhook, namespace: "+home+"}}")
	config, err := clientcmd.BuildConfigFromFlags("", p.kube.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	direct, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &webhook.Rotation{Client: direct, Secret: types.NamespacedName{Namespace: home, Name: "webhook"}, Hosts: []string{"localhost"},
		Configurations: []string{"meshknot"}, Dir: p.dir, Settle: time.Second}
	cr := r.Rotator()
	if err := rotator.AddRotator(manager, cr); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = manager.Start(ctx) })
	running.Go(func() { _ = r.Run(ctx, 20*time.Millisecond, nil) })
	defer running.Wait()
	defer cancel()

	served := func() string {
		text, _ := os.ReadFile(filepath.Join(p.dir, "tls.crt"))
		return string(text)
	}
	o := object(t, split)
	asked := 0
	until := func(what string, done func() bool) {
		t.Helper()
		if err := p.lab.Eventually(what, 60*time.Second, func() bool {
			if _, err := p.kube.DryRun(o); err != nil {
				t.Error(err)
			}
			asked++
			return done()
		}); err != nil {
			t.Fatal(err)
		}
	}
	first := served()
	until("certificate of the rotator", func() bool { return served() != first })
	second := served()
	secret := object(t, "{apiVersion: v1, kind: Secret, metadata: {name: webhook, namespace: "+home+"}}")
	if _, err := p.kube.Patch(secret, map[string]any{"data": nil}); err != nil {
		t.Fatal(err)
	}
	until("certificate of another authority", func() bool { return served() != second })
	from := asked
	until("requests with it", func() bool { return asked > from+50 })
	<-cr.IsReady
	t.Logf("%d requests", asked)
}

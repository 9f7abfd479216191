package admission

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/webhook"
)

// TestRotator: an authority is made; the API server is told of it before it is used,
// and again when the authority is another one, and no request that is made meanwhile
// fails. A certificate that lacks a host is made anew by the same authority.
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
	direct, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &webhook.Rotation{Client: direct, Secret: types.NamespacedName{Namespace: home, Name: "webhook"}, Hosts: []string{"localhost"},
		Configurations: []string{"meshknot"}, Dir: p.dir, Settle: time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
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
	cancel()
	running.Wait()
	authority := p.secret(t, "ca.crt")
	r.Hosts = append(r.Hosts, "another")
	if err := r.Step(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if p.secret(t, "ca.crt") != authority {
		t.Error("another host made another authority")
	}
	if block, _ := pem.Decode([]byte(served())); block == nil {
		t.Error("nothing is served")
	} else if c, err := x509.ParseCertificate(block.Bytes); err != nil || c.VerifyHostname("another") != nil || c.VerifyHostname("localhost") != nil {
		t.Errorf("the certificate lacks a host: %v", err)
	}
	t.Logf("%d requests", asked)
}

// secret is a value of the Secret that certificates are kept in.
func (p *place) secret(t *testing.T, key string) string {
	t.Helper()
	o, err := p.kube.Get(object(t, "{apiVersion: v1, kind: Secret, metadata: {name: webhook, namespace: "+home+"}}"))
	if err != nil {
		t.Fatal(err)
	}
	data, _ := o["data"].(lab.Object)
	text, _ := data[key].(string)
	return text
}

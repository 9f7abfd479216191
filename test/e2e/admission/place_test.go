// Package admission drives the admission webhook through a real API server.
package admission

import (
	"context"
	"encoding/json"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/webhook"
)

// world is an engine that is told of objects by the test, in the place of the
// controller.
type world struct {
	mu      sync.RWMutex
	engine  *engine.Engine
	decoder *input.Decoder
	ready   bool
	rules   *policies.Live
	// wait, if set, is waited for by every Preview.
	wait chan struct{}
}

func newWorld(t testing.TB, bounds ...engine.Bound) *world {
	t.Helper()
	rules, err := policies.NewLive(policies.NewInventory(), policies.Shipped(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{engine: engine.New(all.Pipeline(), nil, nil), ready: true, rules: rules,
		decoder: input.NewDecoder(input.Options{Schemas: all.Pipeline().Schemas()}, "gateway.networking.k8s.io", "", "apps", "batch")}
	w.engine.KeepGood(true)
	w.engine.Bind(input.Settings{Complete: true}, nil, bounds)
	return w
}

func bound(name, backend string, gate report.Class, namespace string) engine.Bound {
	return engine.Bound{Target: translators.Target{Name: name, Backend: backend}, Gate: gate, Scope: &engine.Scope{Own: map[string]bool{namespace: true}}}
}

func (w *world) Preview(ctx context.Context, edits []input.Edit) (engine.Preview, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.wait != nil {
		select {
		case <-w.wait:
		case <-ctx.Done():
		}
	}
	return w.engine.Preview(edits), w.ready
}

func (w *world) Bindings() []binding.Binding { return nil }

func (w *world) Namespaces() map[string]map[string]string {
	return map[string]map[string]string{"shop": {"kubernetes.io/metadata.name": "shop"}}
}

// know tells the world of objects, as a feed would.
func (w *world) know(t testing.TB, objects ...lab.Object) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var edits []input.Edit
	var values []policies.Object
	for _, o := range objects {
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		decoded, _ := w.decoder.Decode(text)
		edits = append(edits, input.Edit{ID: decoded.ID, Objects: []input.Object{decoded}})
		value := policies.NewObject(o)
		policies.Trim(value.Value)
		values = append(values, value)
	}
	w.engine.Apply(edits)
	if err := w.rules.Inventory().Put(values...); err != nil {
		t.Fatal(err)
	}
}

// place is an API server with the webhook.
type place struct {
	lab     *lab.Lab
	kube    *lab.Kube
	world   *world
	dir     string // of the certificate that is served
	ca      []byte
	url     string
	account string
	stop    func()
}

const home = "meshknot-system"

func start(t testing.TB, w *world, o webhook.Options, r webhook.Registration) *place {
	t.Helper()
	l, k := lab.KubeForTest(t)
	if err := k.Define(lab.OurCRDs, lab.GatewayAPICRDs); err != nil {
		t.Fatal(err)
	}
	p := &place{lab: l, kube: k, world: w, account: "system:serviceaccount:" + home + ":meshknot"}
	for _, name := range []string{"shop", "tight", home} {
		p.apply(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+name+"}}")
	}
	files, err := l.Files("spiffe://lab/webhook")
	if err != nil {
		t.Fatal(err)
	}
	if p.ca, err = os.ReadFile(files.CA); err != nil {
		t.Fatal(err)
	}
	if p.dir, err = l.NewDir("webhook"); err != nil {
		t.Fatal(err)
	}
	install(t, p.dir, files.Cert, files.Key)
	o.Schemas, o.Namespace, o.Account = all.Pipeline().Schemas(), home, p.account
	h := webhook.New(w, w.rules, webhook.NewBindings(all.Pipeline(), w), o)
	p.serve(t, h, "127.0.0.1:0")
	r.URL, r.CABundle, r.Namespace, r.Account = p.url, p.ca, home, p.account
	p.register(t, r)
	return p
}

// install puts a certificate where it is served from, as a mount does: at once.
func install(t testing.TB, dir, cert, key string) {
	t.Helper()
	for from, to := range map[string]string{cert: "tls.crt", key: "tls.key"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "."+to), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "."+to), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *place) serve(t testing.TB, h http.Handler, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	certificate := webhook.NewCertificate(p.dir)
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: h, TLSConfig: certificate.TLS(), ReadHeaderTimeout: time.Second, ErrorLog: log.New(quiet{}, "", 0)}
	var running sync.WaitGroup
	running.Go(func() { _ = certificate.Run(ctx, 5*time.Millisecond) })
	running.Go(func() { _ = server.ServeTLS(listener, "", "") })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p.url = "https://localhost:" + port // a name, for the rotator's certificates have names only
	p.stop = sync.OnceFunc(func() { server.Close(); cancel(); running.Wait() })
	t.Cleanup(p.stop)
}

type quiet struct{}

func (quiet) Write(b []byte) (int, error) { return len(b), nil }

// register tells the API server of the webhook, and waits until it heeds it: it asks
// about a report, which nobody but the controller writes.
func (p *place) register(t testing.TB, r webhook.Registration) {
	t.Helper()
	text, err := json.Marshal(r.Configuration())
	if err != nil {
		t.Fatal(err)
	}
	p.apply(t, string(text))
	probe := object(t, "{apiVersion: meshknot.io/v1alpha1, kind: TranslationReport, metadata: {name: probe, namespace: shop}}")
	if err := p.lab.Eventually("webhook that is asked", 30*time.Second, func() bool {
		_, err := p.kube.DryRun(probe)
		return err != nil && strings.Contains(err.Error(), "only the controller writes reports")
	}); err != nil {
		t.Fatal(err)
	}
}

func object(t testing.TB, text string) lab.Object {
	t.Helper()
	var o lab.Object
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func (p *place) apply(t testing.TB, text string) {
	t.Helper()
	if err := p.kube.Apply(object(t, text)); err != nil {
		t.Fatal(err)
	}
}

func policiesOf(policy admissionregistrationv1.FailurePolicyType, kinds ...string) map[string]admissionregistrationv1.FailurePolicyType {
	out := map[string]admissionregistrationv1.FailurePolicyType{}
	for _, k := range kinds {
		out[k] = policy
	}
	return out
}

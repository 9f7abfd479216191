package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/meshknot/meshknot/internal/rules"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/webhook"
)

// guarded is a cluster whose guards are looked at: rules, and webhooks.
type guarded struct {
	*testing.T
	*lab.Kube
	lab *lab.Lab
}

// What guards a cluster: each thing that check says of it, holding and not holding.
func TestFleetGuards(t *testing.T) {
	l, k := lab.KubeForTest(t)
	t.Setenv("KUBECONFIG", k.Kubeconfig)
	g := guarded{t, k, l}
	g.must(k.Define(lab.OurCRDs))
	g.must(k.Apply(lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": "meshknot-system"}}))
	g.rules()
	g.places()
	g.conversion()
}

func (g guarded) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func rulesMap(text string) lab.Object {
	return lab.Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": lab.Object{"name": "house", "namespace": "meshknot-system", "labels": lab.Object{rules.Label: "true"}},
		"data": lab.Object{"house.rego": text}}
}

// rules: in order; broken with nothing in force; broken while a replica, which says so,
// has the last good ones.
func (g guarded) rules() {
	const good, broken = "package house\n\ndeny contains \"no\" if input.metadata.name == \"x\"\n", "package house\n\ndeny contains \"no\" if nowhere(input)\n"
	g.must(g.Apply(rulesMap(good)))
	says(g.T, exitOK, []string{"check"}, "√ the rules of ConfigMap meshknot-system/house compile: 1 rules")
	g.must(g.Apply(rulesMap(broken)))
	says(g.T, exitNo, []string{"check"}, "× the rules of ConfigMap meshknot-system/house compile: configmap/meshknot-system/house/house.rego:3: ", "nowhere", ": none of its rules is known to be in force")
	config, err := g.Config()
	g.must(err)
	client, err := kubernetes.NewForConfig(config)
	g.must(err)
	live, err := policies.NewLive(policies.NewInventory(), nil, nil)
	g.must(err)
	g.must(g.Apply(rulesMap(good)))
	replica := rules.New(client, live, rules.Options{Namespace: "meshknot-system", Metrics: noMetrics{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	ctx, stop := context.WithCancel(g.Context())
	ended := make(chan error, 1)
	go func() { ended <- replica.Run(ctx) }()
	go replica.Announce(ctx)
	g.must(g.lab.Eventually("rules", 30*time.Second, func() bool { return replica.Ready() == nil }))
	g.must(g.Apply(rulesMap(broken)))
	g.must(g.lab.Eventually("check that knows of the last good rules", 30*time.Second, func() bool {
		return strings.Contains(run(g.T, "check").out, ": the last good ones stay in force: 1\n")
	}))
	stop()
	g.must(<-ended)
	g.must(g.Delete(rulesMap(broken)))
}

type noMetrics struct{}

func (noMetrics) Rules(int, int, int) {}

// places: a webhook that objects are refused without, asked about what it may not be
// asked about, and one that is not told of rules.
func (g guarded) places() {
	all := webhook.Registration{Namespace: "meshknot-system", Service: "meshknot-webhook"}.Configuration()
	change := func(do func()) {
		g.Helper()
		do()
		if _, err := g.Patch(lab.Object{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": lab.Object{"name": "meshknot"}},
			lab.Object{"webhooks": all.Webhooks}); err != nil {
			g.Fatal(err)
		}
	}
	g.must(g.Apply(lab.Object{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": lab.Object{"name": "meshknot"}}))
	change(func() {})
	const own, rego = "meshknot fail.own.meshknot.io", "meshknot rules.meshknot.io"
	says(g.T, exitNo, []string{"check"}, "√ "+own+" leaves the controller and the cluster alone", "√ "+rego+" leaves the cluster alone")
	says(g.T, exitNo, []string{"check", "-n", "elsewhere"}, "× "+own+" leaves the controller and the cluster alone: it is asked about objects of elsewhere\n")
	for i := range all.Webhooks {
		switch w := &all.Webhooks[i]; w.Name {
		case "fail.own.meshknot.io":
			change(func() { w.NamespaceSelector = nil })
		case "rules.meshknot.io":
			change(func() {
				w.NamespaceSelector.MatchExpressions[0].Values = []string{"kube-system", "meshknot-system"}
			})
		}
	}
	says(g.T, exitNo, []string{"check"}, "× "+own+" leaves the controller and the cluster alone: it is asked about objects of kube-system and meshknot-system\n",
		"√ "+rego+" leaves the cluster alone", "‼ "+rego+" is asked about rules: its namespaceSelector leaves out meshknot-system")

	// by a label of somebody's own
	_, err := g.Patch(lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": "meshknot-system"}}, lab.Object{"metadata": lab.Object{"labels": lab.Object{"guard": "off"}}})
	g.must(err)
	for i := range all.Webhooks {
		if w := &all.Webhooks[i]; w.Name == "fail.own.meshknot.io" {
			change(func() { w.NamespaceSelector = selector("guard", "off") })
		}
	}
	says(g.T, exitNo, []string{"check"}, "× "+own+" leaves the controller and the cluster alone: it is asked about objects of kube-system\n")
}

// selector chooses what has not this label.
func selector(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: metav1.LabelSelectorOpNotIn, Values: []string{value}}}}
}

// conversion: none is asked for; it is not reached and has no authority; both are there.
func (g guarded) conversion() {
	const name = "conversion of trafficsplits.split.smi-spec.io"
	if got := run(g.T, "check"); strings.Contains(got.out, name) {
		g.Errorf("without a webhook check says\n%s", got.out)
	}
	files, err := g.lab.Files("spiffe://lab/webhook")
	g.must(err)
	authority, err := os.ReadFile(files.CA)
	g.must(err)
	definition := lab.Object{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": lab.Object{"name": "trafficsplits.split.smi-spec.io"}}
	convert := func(bundle []byte) {
		g.Helper()
		at := lab.Object{"service": lab.Object{"namespace": "meshknot-system", "name": "meshknot-convert", "path": "/convert"}}
		if bundle != nil {
			at["caBundle"] = bundle
		}
		_, err := g.Patch(definition, lab.Object{"spec": lab.Object{"conversion": lab.Object{"strategy": "Webhook", "webhook": lab.Object{"clientConfig": at, "conversionReviewVersions": []any{"v1"}}}}})
		g.must(err)
	}
	convert(nil)
	says(g.T, exitNo, []string{"check"}, "× "+name+" has a CA bundle: it is empty", "× "+name+" can be reached: the endpoints of Service meshknot-system/meshknot-convert: none is ready: who asks for another version")
	convert(authority)
	g.must(g.Apply(lab.Object{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": lab.Object{"name": "meshknot-convert-1", "namespace": "meshknot-system",
		"labels": lab.Object{"kubernetes.io/service-name": "meshknot-convert"}}, "addressType": "IPv4", "endpoints": []any{lab.Object{"addresses": []any{"10.0.0.1"}}}}))
	says(g.T, exitNo, []string{"check"}, "‼ "+name+" has a CA bundle: it ends on ", "√ "+name+" can be reached\n")
}

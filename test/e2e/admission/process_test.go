package admission

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/crds"
	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/deploy"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/webhook"
)

// TestProcess: the built controller, with nothing but the rights that it is installed
// with, is the webhook of a real API server: with a certificate of its own and with a
// given one, with rules that change while it runs, while it is away and afterwards.
func TestProcess(t *testing.T) {
	p := newProcess(t)
	p.start()
	p.eventually("webhook that is asked, by its own certificate", func() (bool, any) {
		_, err := p.DryRun(cluster.Object("meshknot.io/v1alpha1", "TranslationReport", "shop", "probe"))
		return err != nil && strings.Contains(err.Error(), "only the controller writes reports"), err
	})
	for _, o := range append(objects(t, known), object(t, meshBindingOf("shop"))) {
		if err := p.Apply(o); err != nil {
			t.Fatal(err)
		}
	}
	p.knows()
	p.step("verdicts", p.verdicts)
	p.step("conversion", p.conversion)
	p.step("ConfigMap", p.configMap)
	p.step("directory", p.directory)
	p.step("away", p.away)
	p.step("audit", p.audit)
	p.step("again", p.again)
	p.step("given certificate", p.given)
}

// process is a cluster with the built controller.
type process struct {
	*cluster.Cluster
	t          *testing.T
	controller *cluster.Controller
	args       []string
	rules      string // a directory
}

func newProcess(t *testing.T) *process {
	t.Helper()
	c := cluster.ForTest(t, lab.KubeOptions{})
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cluster: c, t: t}
	if p.rules, err = c.Lab.NewDir("rules"); err != nil {
		t.Fatal(err)
	}
	p.rule("house", "no name is that long")
	p.args = []string{"--webhook-cert-path=", "--webhook-host=localhost", "--webhook-bind-address=" + lab.Local(port), "--convert-smi",
		"--audit-interval=1s", "--policy=" + p.rules}
	p.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}",
		"{apiVersion: v1, kind: Secret, metadata: {name: meshknot-webhook-cert, namespace: "+cluster.Namespace+"}}")
	r := webhook.Registration{Namespace: cluster.Namespace, Account: "system:serviceaccount:" + cluster.Namespace + ":" + cluster.Account,
		URL: "https://localhost:" + fmt.Sprint(port), Policies: policiesOf("Fail", "TrafficTarget.access.smi-spec.io")}
	configuration, err := yaml.Marshal(r.Configuration())
	if err != nil {
		t.Fatal(err)
	}
	p.apply(string(configuration))
	p.grant("conversion")
	for _, name := range crds.Names() {
		text, err := fs.ReadFile(crds.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		o := object(t, string(text))
		if name, _ := cluster.Dig(o, "metadata", "name").(string); !slices.Contains(webhook.Converted(), name) {
			continue
		}
		if err := r.Converting(o); err != nil {
			t.Fatal(err)
		}
		if err := p.Apply(o); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// step runs a part of the test; those after it need what it leaves.
func (p *process) step(name string, part func(*testing.T)) {
	all := p.t
	all.Helper()
	if !all.Run(name, func(t *testing.T) {
		p.t = t
		defer func() { p.t = all }()
		part(t)
	}) {
		all.FailNow()
	}
}

// grant allows the controller what a feature needs that install.yaml has not enabled.
func (p *process) grant(name string) {
	p.t.Helper()
	for _, g := range deploy.Grants() {
		if g.Name != name {
			continue
		}
		rules, err := yaml.Marshal(map[string]any{"rules": g.Rules})
		if err != nil {
			p.t.Fatal(err)
		}
		p.apply("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: meshknot-"+name+"}\n"+string(rules),
			"{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: meshknot-"+name+"}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: meshknot-"+name+
				"}, subjects: [{kind: ServiceAccount, name: "+cluster.Account+", namespace: "+cluster.Namespace+"}]}")
		return
	}
	p.t.Fatal("no grant " + name)
}

func (p *process) apply(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if err := p.Apply(object(p.t, text)); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *process) eventually(what string, ok func() (bool, any)) {
	p.t.Helper()
	if err := p.Eventually(what, ok); err != nil {
		p.t.Fatal(err)
	}
}

// start starts the controller where it was registered, and waits until it is ready.
func (p *process) start() {
	p.t.Helper()
	var err error
	if p.controller, err = p.Controller(p.args...); err != nil {
		p.t.Fatal(err)
	}
}

// knows waits until the controller knows the objects of the shop.
func (p *process) knows() {
	p.t.Helper()
	p.eventually("controller that knows the shop", func() (bool, any) {
		warnings, err := p.DryRun(object(p.t, split))
		return err == nil && len(warnings) == 0, fmt.Sprint(warnings, err)
	})
}

func meshBindingOf(name string) string {
	return "{apiVersion: meshknot.io/v1alpha1, kind: MeshBinding, metadata: {name: " + name + "}, spec: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: " +
		name + "}}, backend: {name: istio}}}"
}

func (p *process) verdicts(t *testing.T) {
	for _, c := range []struct{ name, object, warns, denies string }{
		{"allowed", split, "", ""},
		{"warned", with(split, "weight: 90", "weight: 7"), "MKR004", ""},
		{"denied", with(split, "reviews-v2,", "reviews-v9,"), "", "(MKR006)"},
		{"denied by a front end", with(split, "weight: 90", "weight: 0", "weight: 10", "weight: 0"), "", "(MK2005)"},
		{"denied binding", meshBinding("7.9"), "", "spec.backend.version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			warnings, err := p.DryRun(object(t, c.object))
			if said := strings.Join(warnings, "\n"); !strings.Contains(said, c.warns) || c.warns == "" && c.denies == "" && said != "" {
				t.Errorf("warnings %q", said)
			}
			if (err != nil) != (c.denies != "") || err != nil && !strings.Contains(err.Error(), c.denies) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := p.Get(object(t, split)); !lab.IsStatus(err, http.StatusNotFound) {
		t.Errorf("a dry run left something: %v", err)
	}
	if err := p.Apply(object(t, with(split, "reviews-v2,", "reviews-v9,"))); err == nil {
		t.Error("what is denied in a dry run is taken")
	}
	if asked := p.controller.Metric(`meshknot_admission_requests_total{decision="denied",kind="TrafficSplit",operation="CREATE"}`); asked != "3" {
		t.Errorf("%s denials were counted, want 3", asked)
	}
}

// conversion: what is written in an old version is read in the new one, and back.
func (p *process) conversion(t *testing.T) {
	p.eventually("v1alpha1 that is converted", func() (bool, any) {
		_, err := p.List("split.smi-spec.io/v1alpha1", "TrafficSplit", "shop")
		return err == nil, err
	})
	p.apply(`{apiVersion: split.smi-spec.io/v1alpha1, kind: TrafficSplit, metadata: {name: old, namespace: shop}, spec: {service: reviews, backends: [{service: reviews-v1, weight: 900m}, {service: reviews-v2, weight: 100m}]}}`)
	in := func(version string) []any {
		o, err := p.Get(cluster.Object("split.smi-spec.io/"+version, "TrafficSplit", "shop", "old"))
		if err != nil {
			t.Fatal(err)
		}
		backends, _ := cluster.Dig(o, "spec", "backends").([]any)
		var weights []any
		for _, b := range backends {
			weights = append(weights, cluster.Dig(b, "weight"))
		}
		return weights
	}
	if got := fmt.Sprint(in("v1alpha4")); got != "[9 1]" {
		t.Errorf("in v1alpha4 the weights are %s", got)
	}
	if got := fmt.Sprint(in("v1alpha1")); got != "[900m 100m]" {
		t.Errorf("back in v1alpha1 they are %s", got)
	}
	p.apply(strings.Replace(with(split, "weight: 90", "weight: 8", "weight: 10", "weight: 2"), "name: reviews,", "name: old,", 1))
	if got := fmt.Sprint(in("v1alpha1")); got != "[8 2]" {
		t.Errorf("after an edit in v1alpha4 they are %s in v1alpha1", got)
	}
	o := cluster.Object("access.smi-spec.io/v1alpha2", "TrafficTarget", "shop", "ported")
	o["spec"] = lab.Object{"destination": lab.Object{"kind": "ServiceAccount", "name": "reviews", "namespace": "shop", "port": 80}}
	if err := p.Apply(o); err == nil || !strings.Contains(err.Error(), "port") {
		t.Errorf("a grant of one port is stored in a version that has none: %v", err)
	}
	if err := p.Delete(cluster.Object("split.smi-spec.io/v1alpha4", "TrafficSplit", "shop", "old")); err != nil {
		t.Fatal(err)
	}
}

// rego is a rule that denies splits of a name.
func rego(name, message string) string {
	return fmt.Sprintf(`package %s
deny contains {"msg": %q, "field": "metadata.name"} if {
	input.review.object.kind == "TrafficSplit"
	input.review.object.metadata.name == %q
}
`, name, message, name)
}

// rule writes a rule into the directory, as a mount does: at once.
func (p *process) rule(name, message string) {
	p.t.Helper()
	file := filepath.Join(p.rules, "rule.rego")
	if err := os.WriteFile(file+".new", []byte(rego(name, message)), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		p.t.Fatal(err)
	}
}

func named(name string) string {
	return strings.Replace(split, "name: reviews,", "name: "+name+",", 1)
}

// denial waits until a split of a name is denied with these words; with none, until it
// is allowed.
func (p *process) denial(t *testing.T, name, words string) {
	t.Helper()
	if err := p.Eventually("split "+name+" that is judged: "+words, func() (bool, any) {
		_, err := p.DryRun(object(t, named(name)))
		return words == "" && err == nil || words != "" && err != nil && strings.Contains(err.Error(), words), err
	}); err != nil {
		t.Fatal(err)
	}
}

// configMap: rules come, change, break and go with a ConfigMap while the process runs.
func (p *process) configMap(t *testing.T) {
	rules := func(text string) []string {
		t.Helper()
		o := cluster.Object("v1", "ConfigMap", cluster.Namespace, "house-rules")
		o["metadata"].(lab.Object)["labels"] = lab.Object{webhook.PolicyLabel: "true"}
		o["data"] = lab.Object{"house.rego": text}
		warnings, err := p.ApplyWarned(o)
		if err != nil {
			t.Fatal(err)
		}
		return warnings
	}
	p.denial(t, "forbidden", "")
	rules(rego("forbidden", "no such name"))
	p.denial(t, "forbidden", "no such name")
	rules(rego("forbidden", "not this name"))
	p.denial(t, "forbidden", "not this name")
	if warnings := rules("package forbidden\ndeny contains"); len(warnings) == 0 || !strings.Contains(warnings[0], "house.rego") {
		t.Errorf("who breaks rules is warned %q", warnings)
	}
	p.metric(t, `meshknot_rule_sources{state="broken"}`, "1")
	p.denial(t, "forbidden", "not this name")
	p.eventually("event on the ConfigMap", func() (bool, any) {
		events, err := p.List("events.k8s.io/v1", "Event", cluster.Namespace)
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(events, func(e lab.Object) bool {
			return cluster.Dig(e, "regarding", "name") == "house-rules" && e["reason"] == "MK4002" && strings.Contains(fmt.Sprint(e["note"]), "house.rego:2")
		}), events
	})
	rules(rego("forbidden", "mended"))
	p.denial(t, "forbidden", "mended")
	p.metric(t, `meshknot_rule_sources{state="broken"}`, "0")
	if err := p.Delete(cluster.Object("v1", "ConfigMap", cluster.Namespace, "house-rules")); err != nil {
		t.Fatal(err)
	}
	p.denial(t, "forbidden", "")
}

// metric waits for the value of a metric.
func (p *process) metric(t *testing.T, name, want string) {
	t.Helper()
	if err := p.Eventually(name+" "+want, func() (bool, any) {
		got := p.controller.Metric(name)
		return got == want, got
	}); err != nil {
		t.Fatal(err)
	}
}

// directory: rules in files are followed, too.
func (p *process) directory(t *testing.T) {
	p.denial(t, "house", "no name is that long")
	p.rule("house", "no name is this long")
	p.denial(t, "house", "no name is this long")
}

// away: while the process is gone, the failurePolicy of each kind decides.
func (p *process) away(t *testing.T) {
	p.controller.Stop()
	for _, o := range []string{grant, meshBindingOf("tight")} {
		if _, err := p.DryRun(object(t, o)); err == nil || !strings.Contains(err.Error(), "failed calling webhook") {
			t.Errorf("with failurePolicy Fail: %v", err)
		}
	}
	if err := p.Apply(object(t, with(split, "reviews-v2,", "reviews-v9,"))); err != nil {
		t.Errorf("with failurePolicy Ignore: %v", err)
	}
	if _, err := p.List("split.smi-spec.io/v1alpha4", "TrafficSplit", "shop"); err != nil {
		t.Errorf("what needs no conversion: %v", err)
	}
}

// findings are the codes in the report on the split.
func (p *process) findings() (codes []string, version string) {
	o, err := p.Get(cluster.Object("meshknot.io/v1alpha1", "TranslationReport", "shop", v1alpha1.ReportName("split.smi-spec.io", "TrafficSplit", "reviews")))
	if err != nil {
		return nil, ""
	}
	found, _ := cluster.Dig(o, "status", "findings").([]any)
	for _, f := range found {
		code, _ := cluster.Dig(f, "code").(string)
		codes = append(codes, code)
	}
	version, _ = cluster.Dig(o, "metadata", "resourceVersion").(string)
	return codes, version
}

// audit: what slipped in is found, and said in its report until it is mended.
func (p *process) audit(t *testing.T) {
	p.start()
	reported := func(what string, is bool) {
		t.Helper()
		if err := p.Eventually(what, func() (bool, any) {
			codes, version := p.findings()
			return version != "" && slices.Contains(codes, "MKR006") == is, codes
		}); err != nil {
			t.Fatal(err)
		}
	}
	reported("report on what slipped in", true)
	p.metric(t, `meshknot_audit_findings{severity="error"}`, "1")
	p.denial(t, "forbidden", "(MK2009)") // beside the one that is there
	if err := p.Apply(object(t, split)); err != nil {
		t.Fatal(err)
	}
	reported("report on what was mended", false)
	p.metric(t, `meshknot_audit_findings{severity="error"}`, "0")
}

// again: who starts where nothing changed writes no report anew, findings of an audit
// included.
func (p *process) again(t *testing.T) {
	warned := object(t, with(split, "weight: 90", "weight: 7"))
	if err := p.Apply(warned); err != nil {
		t.Fatal(err)
	}
	if err := p.Eventually("report with a warning", func() (bool, any) {
		codes, _ := p.findings()
		return slices.Contains(codes, "MKR004") && p.controller.Metric("meshknot_settled") == "1", codes
	}); err != nil {
		t.Fatal(err)
	}
	_, before := p.findings()
	const found = `meshknot_audit_findings{severity="warning"}`
	many := p.controller.Metric(found)
	p.controller.Stop()
	p.start()
	p.metric(t, found, many)
	p.metric(t, "meshknot_settled", "1")
	if _, after := p.findings(); after != before {
		t.Errorf("the report was written anew: %s, %s", before, after)
	}
}

// given: a certificate that is given serves as well, in a replica that is a webhook
// and nothing else.
func (p *process) given(t *testing.T) {
	p.controller.Stop()
	r, err := p.Controller("--roles=webhook")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Register(r); err != nil {
		t.Fatal(err)
	}
	if _, err := p.DryRun(object(t, split)); err != nil {
		t.Error(err)
	}
	if _, err := p.DryRun(object(t, with(split, "reviews-v2,", "reviews-v9,"))); err == nil || !strings.Contains(err.Error(), "(MKR006)") {
		t.Errorf("a split to nowhere: %v", err)
	}
}

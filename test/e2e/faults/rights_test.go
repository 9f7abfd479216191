package faults

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshknot/meshknot/deploy"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// rights are a role of the controller's, bound to an account of a test's own.
type rights struct {
	w       *world
	account string
}

// account makes an account that has what the chart gives to everybody, beside grants
// of back ends.
func (w *world) account(name string, grants ...string) (rights, *lab.Kube) {
	w.Helper()
	w.must(w.Apply(cluster.Object("v1", "ServiceAccount", cluster.Namespace, name)))
	out := rights{w, name}
	for _, g := range deploy.Grants() {
		if slices.Contains(append(grants, "controller", "webhook", "namespace", "namespace-rules"), g.Name) {
			out.grant(g, func(rbacv1.PolicyRule) bool { return true })
			grants = slices.DeleteFunc(grants, func(have string) bool { return have == g.Name })
		}
	}
	if len(grants) > 0 {
		w.Fatalf("there is nothing to grant that is called %v", grants)
	}
	own, err := w.ServiceAccount(cluster.Namespace, name)
	w.must(err)
	return out, own
}

// grant gives of a set of rules those that are wanted; of the ones that it gave before
// nothing else stays.
func (r rights) grant(g deploy.Grant, want func(rbacv1.PolicyRule) bool) {
	r.w.Helper()
	text, err := json.Marshal(slices.DeleteFunc(slices.Clone(g.Rules), func(rule rbacv1.PolicyRule) bool { return !want(rule) }))
	r.w.must(err)
	var rules []any
	r.w.must(json.Unmarshal(text, &rules))
	kind, namespace := "ClusterRole", ""
	if g.Namespaced {
		kind, namespace = "Role", cluster.Namespace
	}
	const api = "rbac.authorization.k8s.io"
	role := cluster.Object(api+"/v1", kind, namespace, r.account+"-"+g.Name)
	role["rules"] = rules
	bound := cluster.Object(api+"/v1", kind+"Binding", namespace, r.account+"-"+g.Name)
	bound["roleRef"] = lab.Object{"apiGroup": api, "kind": kind, "name": r.account + "-" + g.Name}
	bound["subjects"] = []any{lab.Object{"kind": "ServiceAccount", "namespace": cluster.Namespace, "name": r.account}}
	r.w.must(r.w.Apply(role))
	r.w.must(r.w.Apply(bound))
}

// without takes back what was granted of a resource.
func (r rights) without(grant, resource string) {
	r.w.Helper()
	for _, g := range deploy.Grants() {
		if g.Name != grant {
			continue
		}
		for i, rule := range g.Rules {
			rule.Resources = slices.DeleteFunc(slices.Clone(rule.Resources), func(have string) bool { return have == resource })
			g.Rules[i] = rule
		}
		r.grant(g, func(rule rbacv1.PolicyRule) bool { return len(rule.Resources) > 0 })
	}
}

// again grants everything of a set.
func (r rights) again(grant string) { r.without(grant, "") }

// For each back end, on an API server that has everybody's definitions: with what the
// chart grants for it, and nothing else, the controller does all that it is there for,
// and is refused nothing.
func TestLeastRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.KubeOptions{}, lab.GatewayAPICRDs, lab.IstioCRDs, lab.LinkerdCRDs, lab.ConsulCRDs)
	for _, c := range []struct {
		name    string
		backend lab.Object
		grants  []string
	}{
		{"istio", onIstio, []string{"istio"}},
		{"linkerd", lab.Object{"name": "linkerd"}, []string{"linkerd"}},
		{"consul", lab.Object{"name": "consul", "options": lab.Object{"form": "kubernetes"}}, []string{"consul"}},
		{"gateway-api", lab.Object{"name": "gateway-api"}, []string{"gateway-api"}}, // which cannot say who may call
		{"gateway-api-istio", onGateway, []string{"gateway-api", "gateway-api-istio"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{t, w.Cluster, w.gate, w.kubeconfig}
			_, own := w.account("only-"+c.name, c.grants...)
			kubeconfig, err := w.gate.Kubeconfig(own)
			w.must(err)
			before := len(w.gate.forbidden(0))
			r := w.replica("--kubeconfig="+kubeconfig, "--leader-elect", "--roles=writer")
			defer r.Stop()
			w.must(w.Apply(bound(binding, c.backend)))
			w.must(w.Apply(split(90)))
			if c.name != "gateway-api" {
				w.must(w.Apply(group("GET")))
				w.must(w.Apply(target()))
			}
			said := func(generation int64) {
				t.Helper()
				w.eventually("report on the split", func() (bool, any) {
					r := w.splitReport(binding)
					return r.Generation >= generation && (r.Programmed(generation) || r.Conditions["Accepted"] == "True/Accepted" && len(r.Artifacts) == 0), r
				})
				w.eventually("binding that is in force", func() (bool, any) {
					state, message := w.condition(binding, "Programmed")
					return state == "True/Programmed", state + ": " + message
				})
			}
			said(1)
			if got := w.splitReport(binding); len(got.Artifacts) == 0 {
				t.Errorf("nothing was made of the split: %s", got)
			}
			said(w.apply(split(50)))
			for _, o := range []lab.Object{split(1), target(), group(), bound(binding, onIstio)} {
				w.must(w.Delete(o))
			}
			w.eventually("nothing", func() (bool, any) { s := w.snapshot(w.written()); return len(s) == 0, s.text() })
			w.must(r.Terminate(cluster.Within))
			for _, f := range w.gate.forbidden(before) {
				if !looked(f) {
					t.Errorf("not allowed is %s", f)
				}
			}
		})
	}
}

// looked reports whether a refused request was a look at what there is of all kinds
// that any back end makes: what may not be seen was never written.
func looked(refused string) bool {
	path, ok := strings.CutPrefix(refused, "GET /apis/")
	parts := strings.Split(path, "/")
	return ok && len(parts) == 3 && slices.ContainsFunc(sink.Kinds("istio", "linkerd", "consul"), func(k schema.GroupVersionKind) bool {
		return k.Group == parts[0] && k.Version == parts[1]
	})
}

// A right that is withdrawn while the controller runs takes nothing away, is told of,
// and is missed no longer once it is given again.
func TestRightsWithdrawn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.KubeOptions{}, everything...)
	some, own := w.account("some", "istio")
	kubeconfig, err := w.gate.Kubeconfig(own)
	w.must(err)
	w.must(w.Apply(bound(binding, onIstio)))
	r := w.replica("--kubeconfig="+kubeconfig, "--roles=writer")
	w.weight(1)

	// to read the splits
	some.without("controller", "trafficsplits")
	w.gate.Cut()
	w.trouble(r, splitsKind, true)
	w.must(w.Apply(split(2)))
	w.regroup("GET")
	if got := w.weights(); got != reduced(1) {
		t.Errorf("without the right to read splits there are %s", got)
	}
	if said := w.splitReport(binding); !said.Programmed(1) {
		t.Errorf("without the right to read splits it is said: %s", said)
	}
	w.ready(r)
	some.again("controller")
	w.trouble(r, splitsKind, false)
	w.inForce(binding, 2)

	// to write what they become
	some.without("istio", "virtualservices")
	w.must(w.Apply(split(3)))
	const words = `cannot patch resource "virtualservices"`
	w.eventually("refusal in the API server's words", func() (bool, any) {
		said := w.splitReport(binding)
		return said.Generation == 3 && said.Conditions["Programmed"] == "False/Refused" && strings.Contains(said.Messages["Programmed"], words), said
	})
	w.eventually("binding that says so", func() (bool, any) {
		state, message := w.condition(binding, "Programmed")
		return state == "False/Refused" && strings.Contains(message, words), state + ": " + message
	})
	if got := w.weights(); got != reduced(2) {
		t.Errorf("without the right to write there are %s", got)
	}
	w.ready(r)
	some.again("istio")
	w.inForce(binding, 3)
	if got := w.weights(); got != reduced(3) {
		t.Errorf("with the right again there are %s", got)
	}

	// to say so
	some.without("controller", "translationreports")
	w.must(w.Apply(split(4)))
	w.eventually("edit that takes effect, whatever may be said of it", func() (bool, any) { got := w.weights(); return got == reduced(4), got })
	w.eventually("metric of reports that are not written", func() (bool, any) {
		got := r.Metric(fmt.Sprintf("meshknot_report_writes_total{kind=%q,result=%q}", "report", "error"))
		return got != "" && got != "0", got
	})
	some.again("controller")
	w.inForce(binding, 4)
}

// A binding is switched to a mesh that the controller may not write for. What is in
// force on the old one stays, whoever writes by then, until the new one is allowed.
func TestSwitchDenied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.KubeOptions{}, everything...)
	some, own := w.account("some", "istio")
	kubeconfig, err := w.gate.Kubeconfig(own)
	w.must(err)
	for _, o := range []lab.Object{bound(binding, onIstio), group("GET"), target()} {
		w.must(w.Apply(o))
	}
	r := w.replica("--kubeconfig="+kubeconfig, "--roles=writer")
	w.weight(1)
	w.must(w.Apply(bound(binding, onGateway)))
	denied := func(what string) {
		t.Helper()
		w.eventually("refusal "+what, func() (bool, any) {
			state, message := w.condition(binding, "Programmed")
			return state == "False/Refused" && strings.Contains(message, `resource "httproutes"`), state + ": " + message
		})
		w.barrier()
		if got := w.weights(); got != reduced(1) {
			t.Errorf("%s, there are %s", what, got)
		}
	}
	denied("of a switched binding")
	r.Stop()
	w.replica("--kubeconfig="+kubeconfig, "--roles=writer")
	denied("after a restart")
	for _, g := range deploy.Grants() {
		if g.Name == "gateway-api" {
			some.grant(g, func(rbacv1.PolicyRule) bool { return true })
		}
	}
	w.eventually("switched binding that is in force", func() (bool, any) {
		state, message := w.condition(binding, "Programmed")
		return state == "True/Programmed", state + ": " + message
	})
	w.eventually("nothing of the old mesh", func() (bool, any) { got := w.weights(); return got == "", got })
}

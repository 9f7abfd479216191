package deploy

import (
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/test/lab"
)

// TestApply: a real API server takes what the chart renders, warns of nothing, and
// then allows the account what each back end needs and no more.
func TestApply(t *testing.T) {
	lab.Need(t, lab.KubeAPIServer, lab.Etcd)
	l := lab.ForTest(t)
	k, err := l.StartKube()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Define(lab.OurCRDs); err != nil {
		t.Fatal(err)
	}
	apply(t, k, lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": namespace, "labels": restricted}})
	names := []string{"default"}
	for name := range alone {
		names = append(names, name)
	}
	slices.Sort(names)
	values := sets()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			objects := render(t, values[name])
			for _, o := range objects {
				apply(t, k, o)
			}
			allowances(t, k, name)
			for _, o := range slices.Backward(objects) {
				if o["kind"] == "CustomResourceDefinition" {
					continue
				}
				if err := k.Delete(o); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Run("HA", func(t *testing.T) {
		for _, o := range render(t, "", "--values", chart+"/values-ha.yaml") {
			apply(t, k, o)
		}
	})
	t.Run("converting", func(t *testing.T) {
		for _, o := range render(t, "webhook: {convertSMI: true}") {
			if o["kind"] == "CustomResourceDefinition" {
				apply(t, k, o)
			}
		}
	})
	t.Run("install.yaml", func(t *testing.T) {
		text, err := os.ReadFile("install.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range strings.Split(string(text), "\n---\n")[1:] {
			var o lab.Object
			if err := yaml.Unmarshal([]byte(document), &o); err != nil {
				t.Fatal(err)
			}
			apply(t, k, o)
		}
	})
}

func apply(t *testing.T, k *lab.Kube, o lab.Object) {
	t.Helper()
	warnings, err := k.ApplyWarned(o)
	if err != nil {
		t.Error(err)
	}
	for _, w := range warnings {
		t.Errorf("%s: %s", o["kind"], w)
	}
}

// allowances asks the API server what the account may do with a set of values.
func allowances(t *testing.T, k *lab.Kube, name string) {
	t.Helper()
	enabled := map[string][]string{"default": {"istio", "gateway-api"}, "gateway-api": {"gateway-api", "gateway-api-linkerd"},
		"istio": {"istio"}, "linkerd": {"linkerd"}, "consul": {"consul"}}[name]
	written := map[resource]bool{}
	for _, g := range Grants() {
		for _, r := range g.Rules {
			for _, res := range r.Resources {
				if slices.Contains(enabled, g.Name) {
					written[resource{r.APIGroups[0], res}] = true
				}
			}
		}
	}
	for _, backend := range []string{"istio", "linkerd", "consul", "gateway-api"} {
		for _, kind := range sink.Kinds(backend) {
			r := resourceOf(kind.Group, kind.Kind)
			for _, verb := range append(slices.Clone(write), "watch") {
				if verb == "watch" && !sink.Speaks(kind.GroupKind()) {
					if may(t, k, "shop", r, "", verb) {
						t.Errorf("%s.%s may be watched, though nobody says anything of it", r.name, r.group)
					}
					continue
				}
				if want, got := written[r] || verb != "create" && verb != "patch" && verb != "delete" && isGateway(r), may(t, k, "shop", r, "", verb); got != want {
					t.Errorf("%s %s.%s: %v, want %v", verb, r.name, r.group, got, want)
				}
			}
		}
	}
	for _, test := range []struct {
		namespace string
		resource
		name, verb string
		want       bool
	}{
		{"shop", resource{"split.smi-spec.io", "trafficsplits"}, "", "watch", true},
		{"shop", resource{"split.smi-spec.io", "trafficsplits"}, "a", "patch", false},
		{"shop", resource{"", "pods"}, "", "list", true},
		{"shop", resource{"", "secrets"}, "any", "get", false},
		{namespace, resource{"", "secrets"}, "any", "get", false},
		{namespace, resource{"", "secrets"}, "meshknot-webhook-cert", "update", true},
		{namespace, resource{"", "secrets"}, "", "list", false},
		{namespace, resource{"", "configmaps"}, "", "list", true},
		{namespace, resource{"", "configmaps"}, "any", "update", false},
		{"shop", resource{"", "configmaps"}, "", "list", false},
		{"", resource{"admissionregistration.k8s.io", "validatingwebhookconfigurations"}, "", "list", false},
		{"", resource{"apiextensions.k8s.io", "customresourcedefinitions"}, "trafficsplits.split.smi-spec.io", "update", false},
		{namespace, resource{"coordination.k8s.io", "leases"}, "meshknot", "update", true},
		{"kube-system", resource{"coordination.k8s.io", "leases"}, "meshknot", "update", false},
		{"", resource{"meshknot.io", "meshbindings"}, "b", "update", false},
		{"shop", resource{"meshknot.io", "translationreports"}, "r", "delete", true},
		{"", resource{"admissionregistration.k8s.io", "validatingwebhookconfigurations"}, "meshknot", "update", true},
		{"", resource{"admissionregistration.k8s.io", "validatingwebhookconfigurations"}, "other", "update", false},
		{"shop", resource{"rbac.authorization.k8s.io", "roles"}, "a", "create", false},
	} {
		if got := may(t, k, test.namespace, test.resource, test.name, test.verb); got != test.want {
			t.Errorf("%s %s %s in %q: %v", test.verb, test.resource.name, test.name, test.namespace, got)
		}
	}
}

func may(t *testing.T, k *lab.Kube, in string, r resource, name, verb string) bool {
	t.Helper()
	answer, err := k.Create(lab.Object{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": lab.Object{
		"user": account(namespace, "meshknot"), "groups": []any{"system:serviceaccounts", "system:authenticated"},
		"resourceAttributes": lab.Object{"namespace": in, "group": r.group, "resource": r.name, "name": name, "verb": verb}}})
	if err != nil {
		t.Fatal(err)
	}
	return answer["status"].(lab.Object)["allowed"] == true
}

// TestKustomize: the base builds, and is what install.yaml has.
func TestKustomize(t *testing.T) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "kustomize")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("install.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Count(string(text), "\n---\n") - 1; built.Size() != want { // but for the Namespace
		t.Errorf("%d objects, install.yaml has %d", built.Size(), want)
	}
	for _, r := range built.Resources() {
		if n := r.GetNamespace(); n != "" && n != namespace {
			t.Errorf("%s is in %s", r.CurId(), n)
		}
	}
}

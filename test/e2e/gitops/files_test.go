package gitops

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/test/lab"
)

const examples = "../../../deploy/gitops"

// program puts meshknot where a shell finds it.
func program(t *testing.T, l *lab.Lab) string {
	t.Helper()
	path, err := l.Meshknot()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(path, filepath.Join(dir, "meshknot")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return path
}

// objects reads documents.
func objects(t *testing.T, text []byte) []lab.Object {
	t.Helper()
	var out []lab.Object
	for _, document := range strings.Split("\n"+string(text), "\n---\n") {
		var o lab.Object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(o) > 0 {
			out = append(out, o)
		}
	}
	return out
}

func kinds(all []lab.Object) map[string]int {
	out := map[string]int{}
	for _, o := range all {
		out[o["kind"].(string)]++
	}
	return out
}

// TestArgoCD runs the plugin's command in a folder, as the repo server does.
func TestArgoCD(t *testing.T) {
	program(t, lab.ForTest(t))
	text, err := os.ReadFile(examples + "/argocd/plugin.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var plugin struct {
		Spec struct {
			Discover struct{ Find struct{ Glob string } }
			Generate struct{ Command, Args []string }
		}
	}
	if err := yaml.Unmarshal(text, &plugin); err != nil {
		t.Fatal(err)
	}
	if found, err := filepath.Glob(examples + "/argocd/*/" + filepath.Base(plugin.Spec.Discover.Find.Glob)); err != nil || len(found) != 1 {
		t.Errorf("the plugin finds %v %v", found, err)
	}
	generate := plugin.Spec.Generate
	run := func(dir string, env ...string) ([]byte, error) {
		c := exec.Command(generate.Command[0], append(generate.Command[1:], generate.Args...)...)
		c.Dir, c.Env = dir, append(os.Environ(), env...)
		return c.Output()
	}
	out, err := run(examples + "/argocd/shop")
	if err != nil {
		t.Fatal(err)
	}
	if got := kinds(objects(t, out)); got["VirtualService"] != 1 || got["AuthorizationPolicy"] < 2 || got["TrafficSplit"] > 0 {
		t.Errorf("%v", got)
	}
	out, err = run(examples+"/argocd/shop", "PARAM_TO=gateway-api")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("what Gateway API cannot say was not refused: %v\n%s", err, out)
	}
}

// TestKustomize builds the example with the function, and what was built again.
func TestKustomize(t *testing.T) {
	program(t, lab.ForTest(t))
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(examples+"/kustomize")); err != nil {
		t.Fatal(err)
	}
	built := build(t, dir)
	got := kinds(objects(t, built))
	if got["VirtualService"] != 1 || got["AuthorizationPolicy"] < 2 || got["Service"] != 3 || got["TrafficSplit"]+got["TrafficTarget"]+got["HTTPRouteGroup"]+got["Translate"] > 0 {
		t.Errorf("%v", got)
	}
	if strings.Contains(string(built), "config.kubernetes.io") {
		t.Errorf("annotations of the build are left:\n%s", built)
	}
	// Without replace the sources stay, and a build of what was built is the same.
	config, err := os.ReadFile(filepath.Join(dir, "translate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "translate.yaml"), bytes.Replace(config, []byte("replace: true"), []byte("replace: false"), 1))
	first := build(t, dir)
	write(t, filepath.Join(dir, "policy.yaml"), first)
	if second := build(t, dir); !bytes.Equal(first, second) {
		t.Errorf("a second build made\n%s\nof\n%s", second, first)
	}
	// A refusal fails the build.
	write(t, filepath.Join(dir, "translate.yaml"), bytes.Replace(config, []byte("[istio]"), []byte("[gateway-api]"), 1))
	if _, err := krusty.MakeKustomizer(options()).Run(filesys.MakeFsOnDisk(), dir); err == nil {
		t.Error("a refusal did not fail the build")
	}
}

func options() *krusty.Options {
	o := krusty.MakeDefaultOptions()
	o.PluginConfig = types.EnabledPluginConfig(types.BploUseStaticallyLinked)
	o.PluginConfig.FnpLoadingOptions.EnableExec = true
	return o
}

func build(t *testing.T, dir string) []byte {
	t.Helper()
	m, err := krusty.MakeKustomizer(options()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFlux renders the example as its page says; what is there is what comes out.
func TestFlux(t *testing.T) {
	binary := program(t, lab.ForTest(t))
	out := filepath.Join(t.TempDir(), "rendered")
	if said, err := exec.Command(binary, "translate", "-f", examples+"/flux/policies", "--to", "istio", "-o", "dir", "--out", out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if said, err := exec.Command("diff", "-r", examples+"/flux/rendered", out).CombinedOutput(); err != nil {
		t.Errorf("deploy/gitops/flux/rendered is stale:\n%s", said)
	}
}

// TestNoDrift applies what each back end of objects makes to a real API server with
// that mesh's definitions: the server adds nothing that the next apply, or a
// comparison by Argo CD or Flux, would take away again, and a second apply writes
// nothing.
func TestNoDrift(t *testing.T) {
	l, k := lab.KubeForTest(t)
	binary := program(t, l)
	for _, test := range []struct {
		name, input string
		to          []string
		crds        []lab.CRDs
	}{
		{"istio", "deploy/gitops/flux/policies", []string{"--to", "istio"}, []lab.CRDs{lab.IstioCRDs}},
		{"gateway-api", "deploy/gitops/flux/policies", []string{"--to", "gateway-api", "--authorization", "istio"}, []lab.CRDs{lab.GatewayAPICRDs, lab.IstioCRDs}},
		{"istio-gateway", "examples/gateway", []string{"--to", "istio"}, []lab.CRDs{lab.IstioCRDs}},
		{"linkerd", "deploy/gitops/flux/policies", []string{"--to", "linkerd"}, []lab.CRDs{lab.GatewayAPICRDs, lab.LinkerdCRDs}},
		{"consul", "deploy/gitops/flux/policies", []string{"--to", "consul", "--option", "consul.form=kubernetes", "--option", "consul.namespace=shop"}, []lab.CRDs{lab.ConsulCRDs}},
	} {
		t.Run(test.name, func(t *testing.T) {
			lab.NeedCRDs(t, test.crds...)
			if err := k.Define(test.crds...); err != nil {
				t.Fatal(err)
			}
			text, err := exec.Command(binary, append([]string{"translate", "-f", "../../../" + test.input}, test.to...)...).Output()
			if err != nil {
				t.Fatal(err)
			}
			made := objects(t, text)
			if len(made) == 0 {
				t.Fatal("nothing was made")
			}
			for _, o := range made {
				namespaceOf(t, k, o)
				warnings, err := k.ApplyWarned(o)
				if err != nil || len(warnings) > 0 {
					t.Fatal(err, warnings)
				}
			}
			for _, o := range made {
				first := get(t, k, o)
				if added := additions("", o, first); len(added) > 0 {
					t.Errorf("%s %s: the server has %v beside what was made", o["kind"], first["metadata"].(lab.Object)["name"], added)
				}
				if _, err := k.ApplyWarned(o); err != nil {
					t.Fatal(err)
				}
				if a, b := version(first), version(get(t, k, o)); a != b {
					t.Errorf("%s: a second apply wrote: resourceVersion %s, then %s", o["kind"], a, b)
				}
			}
		})
	}
}

func namespaceOf(t *testing.T, k *lab.Kube, o lab.Object) {
	t.Helper()
	n, _ := o["metadata"].(lab.Object)["namespace"].(string)
	if n == "" {
		return
	}
	if err := k.Apply(lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": n}}); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, k *lab.Kube, o lab.Object) lab.Object {
	t.Helper()
	got, err := k.Get(o)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func version(o lab.Object) string { return o["metadata"].(lab.Object)["resourceVersion"].(string) }

// additions are the fields that an object has and the wanted one does not, and those
// that it has otherwise, outside of metadata and status.
func additions(path string, want, got any) []string {
	switch got := got.(type) {
	case map[string]any:
		want, ok := want.(map[string]any)
		if !ok {
			return []string{path}
		}
		var out []string
		for key, value := range got {
			if path == "" && (key == "metadata" || key == "status") {
				continue
			}
			out = append(out, additions(path+"."+key, want[key], value)...)
		}
		return out
	case []any:
		want, ok := want.([]any)
		if !ok || len(want) != len(got) {
			return []string{path}
		}
		var out []string
		for i := range got {
			out = append(out, additions(path+"[]", want[i], got[i])...)
		}
		return out
	}
	a, _ := json.Marshal(want)
	b, _ := json.Marshal(got)
	if !bytes.Equal(a, b) {
		return []string{path}
	}
	return nil
}

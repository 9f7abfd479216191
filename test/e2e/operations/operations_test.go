// Package operations plays docs/operations.md on a real API server beside the built
// controller: its commands in their order, and what the page says comes of them.
package operations

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// play is the page, and where it is played.
type play struct {
	*cluster.Cluster
	*testing.T
	page string
	// dir is where commands are run: it has the files that the page speaks of.
	dir string
}

func TestPage(t *testing.T) {
	lab.Need(t, "helm")
	c := cluster.ForTest(t, lab.KubeOptions{})
	text, err := os.ReadFile(cluster.Path("docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	p := &play{c, t, string(text), t.TempDir()}
	p.files()
	p.must(c.Apply(cluster.Object("v1", "Namespace", "", cluster.ShopNamespace)))
	p.must(c.ApplyFiles(cluster.Path("examples", "bookstore", "shop.yaml"), cluster.Path("examples", "bookstore", "access.yaml"), cluster.Path("examples", "bookstore", "split.yaml")))
	replica, err := c.Controller("--leader-elect")
	p.must(err)
	played, registered := map[string]int{}, false
	for _, m := range regexp.MustCompile(`(?m)^    (\S.*)$`).FindAllStringSubmatch(p.page, -1) {
		words := strings.Fields(m[1])
		// What installs has a webhook with a Service, which leads nowhere here.
		if installs := words[0] == "helm" || strings.Contains(m[1], " deploy/"); !installs && !registered {
			registered = true
			p.must(c.Register(replica))
		}
		switch words[0] {
		case "helm":
			p.helm(words[1:])
		case "kubectl":
			p.kubectl(words[1:])
		case "meshknot":
			p.meshknot(words[1:])
		case "go":
			p.benchmark(words[1:])
		default:
			t.Errorf("%s: that is not played", m[1])
		}
		played[words[0]]++
	}
	if played["helm"] == 0 || played["kubectl"] == 0 || played["meshknot"] == 0 {
		t.Errorf("of the page was played %v", played)
	}
	p.inForce(replica)
	p.ready(replica)
}

// benchmark sees to it that there is what is measured: it is not measured here.
func (p *play) benchmark(args []string) {
	p.Helper()
	at := slices.Index(args, "-bench")
	if at < 0 || at+1 == len(args) {
		p.Errorf("go %s measures nothing", strings.Join(args, " "))
		return
	}
	files, err := filepath.Glob(cluster.Path(filepath.FromSlash(args[len(args)-1]), "*_test.go"))
	p.must(err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		p.must(err)
		if strings.Contains(string(text), "func Benchmark"+args[at+1]) {
			return
		}
	}
	p.Errorf("there is no benchmark %s in %s", args[at+1], args[len(args)-1])
}

func (p *play) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// files writes what the page speaks of: the binding that it shows, and a rule.
func (p *play) files() {
	p.Helper()
	shown := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindStringSubmatch(p.page)
	if shown == nil {
		p.Fatal("the page shows no binding")
	}
	p.must(os.WriteFile(filepath.Join(p.dir, "binding.yaml"), []byte(shown[1]), 0o600))
	p.must(os.Mkdir(filepath.Join(p.dir, "rules"), 0o700))
	p.must(os.WriteFile(filepath.Join(p.dir, "rules", "house.rego"), []byte("package house\n\ndeny contains \"no such name\" if input.metadata.name == \"forbidden\"\n"), 0o600))
}

// helm installs what the chart renders. A Deployment is stored, and runs nowhere.
func (p *play) helm(args []string) {
	p.Helper()
	if args[0] != "install" {
		p.Errorf("helm %s is not played", args[0])
		return
	}
	text, err := lab.HelmInstall(p.T, args[1:]...)
	p.must(err)
	p.must(p.ApplyYAML(text))
}

// meshknot runs the built program, as an administrator. A plan that changes something
// ends with 1.
func (p *play) meshknot(args []string) {
	p.Helper()
	binary, err := p.Lab.Meshknot()
	p.must(err)
	c := exec.Command(binary, args...)
	c.Dir, c.Env = p.dir, append(os.Environ(), "KUBECONFIG="+p.Kubeconfig)
	out, err := c.CombinedOutput()
	if c.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "binding shop: new, istio@1.31") || !strings.Contains(string(out), "VirtualService shop/reviews") {
		p.Errorf("meshknot %v: %v\n%s", args, err, out)
	}
}

// kubectl does what the program of that name would be asked to.
func (p *play) kubectl(args []string) {
	p.Helper()
	line := strings.Join(args, " ")
	var words []string
	flags := map[string]string{}
	for i := 0; i < len(args); i++ {
		switch name, value, given := strings.Cut(strings.TrimLeft(args[i], "-"), "="); {
		case !strings.HasPrefix(args[i], "-"):
			words = append(words, args[i])
		case given || name == "server-side":
			flags[name] = value
		case i+1 < len(args):
			i++
			flags[name] = args[i]
		}
	}
	var err error
	switch verb, rest := words[0], words[1:]; {
	case verb == "apply" && flags["f"] != "":
		err = p.applyFile(flags["f"])
	case verb == "apply" && flags["k"] != "":
		err = p.applyFolder(flags["k"])
	case verb == "get" && len(rest) == 1, verb == "describe" && len(rest) == 2:
		p.shows(rest, flags["n"])
	case verb == "create" && len(rest) == 2 && rest[0] == "configmap":
		err = p.configMap(flags["n"], rest[1], flags["from-file"])
	case verb == "label" && len(rest) == 3 && rest[0] == "configmap":
		key, value, _ := strings.Cut(rest[2], "=")
		_, err = p.Patch(cluster.Object("v1", "ConfigMap", flags["n"], rest[1]), lab.Object{"metadata": lab.Object{"labels": lab.Object{key: value}}})
	default:
		p.Errorf("kubectl %s is not played", line)
	}
	if err != nil {
		p.Errorf("kubectl %s: %v", line, err)
	}
}

// applyFile applies a file of the play's directory, or else of the checkout.
func (p *play) applyFile(name string) error {
	if own := filepath.Join(p.dir, name); exists(own) {
		return p.ApplyFiles(own)
	}
	return p.ApplyFiles(cluster.Path(filepath.FromSlash(name)))
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// applyFolder applies what kustomize builds of a folder of the checkout.
func (p *play) applyFolder(name string) error {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), cluster.Path(filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	text, err := built.AsYaml()
	if err != nil {
		return err
	}
	return p.ApplyYAML(string(text))
}

func (p *play) configMap(namespace, name, from string) error {
	o := cluster.Object("v1", "ConfigMap", namespace, name)
	data := lab.Object{}
	files, err := filepath.Glob(filepath.Join(p.dir, from, "*"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no files in %s: %w", from, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		data[filepath.Base(f)] = string(text)
	}
	o["data"] = data
	_, err = p.Create(o)
	return err
}

// shows waits until there is what is asked for: one object, or some of a kind.
func (p *play) shows(words []string, namespace string) {
	p.Helper()
	kind := p.kind(words[0])
	if kind == "" {
		p.Errorf("no definition has %q", words[0])
		return
	}
	p.must(p.Eventually(strings.Join(words, " "), func() (bool, any) {
		if len(words) == 1 {
			all, err := p.List(v1alpha1.GroupVersion().String(), kind, namespace)
			return len(all) > 0, err
		}
		o, err := p.Get(cluster.Object(v1alpha1.GroupVersion().String(), kind, namespace, words[1]))
		return err == nil, o
	}))
}

// kind is that of a resource's name, in the singular or not.
func (p *play) kind(resource string) string {
	all, err := p.List(apiextensionsv1.SchemeGroupVersion.String(), "CustomResourceDefinition", "")
	p.must(err)
	for _, o := range all {
		var d apiextensionsv1.CustomResourceDefinition
		text, err := yaml.Marshal(o)
		p.must(err)
		p.must(yaml.Unmarshal(text, &d))
		if names := d.Spec.Names; d.Spec.Group == v1alpha1.Group && (names.Plural == resource || names.Singular == resource) {
			return names.Kind
		}
	}
	return ""
}

// inForce: the binding is followed, its reports have the conditions of the page, and
// the rules of the ConfigMap are read.
func (p *play) inForce(r *cluster.Controller) {
	p.Helper()
	p.must(p.Eventually("split in force", func() (bool, any) {
		report := p.SplitReport()
		for _, m := range regexp.MustCompile(`(?m)^\| ([A-Z][A-Za-z]+) \|`).FindAllStringSubmatch(p.page, -1) {
			if m[1] != "Condition" && report.Conditions[m[1]] == "" {
				return false, report
			}
		}
		return report.Programmed(1), report
	}))
	p.must(p.Eventually("rules of the ConfigMap", func() (bool, any) {
		got := r.Metric(`meshknot_rule_sources{state="good"}`)
		return got == "1", got
	}))
}

// ready: the checks that the page names are checks of a replica, and the Lease is there.
func (p *play) ready(r *cluster.Controller) {
	p.Helper()
	section := regexp.MustCompile(`(?s)## Not ready\n(.*?)\n## `).FindStringSubmatch(p.page)
	way := regexp.MustCompile("`(/readyz[^`]*)`").FindStringSubmatch(p.page)
	if section == nil || way == nil {
		p.Fatal("the page does not say what to do where a replica is not ready")
	}
	answer, err := http.Get("http://" + lab.Local(r.Health) + way[1])
	p.must(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	p.must(err)
	for _, m := range regexp.MustCompile(`\*([a-z]+)\*`).FindAllStringSubmatch(section[1], -1) {
		if m[1] == "certificate" {
			continue // of one that a replica makes itself, which this one does not
		}
		if !strings.Contains(string(text), "]"+m[1]+" ok") {
			p.Errorf("no check %q:\n%s", m[1], text)
		}
	}
	lease := regexp.MustCompile("Lease `([^`]+)`").FindStringSubmatch(p.page)
	if lease == nil {
		p.Fatal("the page names no Lease")
	}
	if _, err := p.Get(cluster.Object("coordination.k8s.io/v1", "Lease", cluster.Namespace, lease[1])); err != nil {
		p.Error(err)
	}
}

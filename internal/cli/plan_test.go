package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/test/lab"
)

// What a real API server holds is planned against: policies in whatever version
// it stores them, the objects that they speak of, and bindings.
func TestPlanAgainstCluster(t *testing.T) {
	_, k := lab.KubeForTest(t)
	if err := k.Define(lab.OurCRDs); err != nil {
		t.Fatal(err)
	}
	apply(t, k, "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}")
	examples := filepath.Join(repository, "examples")
	for _, file := range []string{"bookstore/shop.yaml", "bookstore/access.yaml", "bookstore/split.yaml", "bindings/istio.yaml"} {
		text, err := os.ReadFile(filepath.Join(examples, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range strings.Split(string(text), "\n---\n") {
			apply(t, k, one)
		}
	}
	plan := func(want int, args ...string) string {
		t.Helper()
		var out, errw bytes.Buffer
		if got := Main(append([]string{"plan", "--kubeconfig", k.Kubeconfig}, args...), strings.NewReader(""), &out, &errw); got != want {
			t.Fatalf("plan %q: status %d, want %d\n%s%s", args, got, want, out.String(), errw.String())
		}
		if errw.Len() > 0 {
			t.Errorf("plan %q says\n%s", args, errw.String())
		}
		return out.String()
	}
	says := func(out string, want ...string) {
		t.Helper()
		for _, line := range want {
			if !strings.Contains(out, line+"\n") {
				t.Errorf("there is no line %q in\n%s", line, out)
			}
		}
	}

	// The files are what is there, but for what nobody gives in files.
	says(plan(exitOK, "-f", filepath.Join(examples, "bookstore"), "-f", filepath.Join(examples, "bindings", "istio.yaml")),
		"binding shop: istio@1.31", "  0 to create, 0 to change, 0 to delete")
	says(plan(exitNo, "-f", filepath.Join(examples, "bindings", "linkerd.yaml")),
		"binding shop: istio@1.31 -> linkerd", "  7 to create, 0 to change, 7 to delete", "  - VirtualService shop/reviews")

	var doc struct {
		Bindings []struct{ Delete []artifactName }
		Opens    []string
	}
	if err := json.Unmarshal([]byte(plan(exitNo, "-o", "json", "--replace", "-f", filepath.Join(examples, "bookstore", "shop.yaml"))), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Bindings) != 1 || len(doc.Bindings[0].Delete) != 7 || strings.Join(doc.Opens, " ") != "shop/reviews" {
		t.Errorf("got %+v", doc)
	}
}

func apply(t *testing.T, k *lab.Kube, text string) {
	t.Helper()
	var o lab.Object
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	if err := k.Apply(o); err != nil {
		t.Fatal(err)
	}
}

// Lists are read in pages, and one that was read to its end is whole.
func TestReadClusterInPages(t *testing.T) {
	_, k := lab.KubeForTest(t)
	const n = 2*clusterPage + 1
	for i := range n {
		if err := k.Apply(lab.Object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"namespace": "default", "name": fmt.Sprint("a", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	a := &app{strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}}
	got, err := a.readCluster(context.Background(), k.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, o := range got.objects {
		if o.Kind == "ServiceAccount" && strings.HasPrefix(o.Name, "a") {
			found++
		}
	}
	if found != n {
		t.Errorf("read %d accounts, want %d", found, n)
	}
}

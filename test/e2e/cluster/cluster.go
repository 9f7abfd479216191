// Package cluster is a Kubernetes API server with the built controller beside it,
// all of it real programs on this machine: what the suites of test/e2e and "make
// demo-cluster" stand on. Nothing else runs: no scheduler, no kubelet, so pods are
// processes that Shop starts.
package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/test/lab"
)

// Within is how long what should happen is waited for.
const Within = time.Minute

// Namespace that the controller runs in and Account that it has, as install.yaml has
// them.
const (
	Namespace = "meshknot-system"
	Account   = "meshknot"
)

// Cluster is an API server with definitions. Its Kube acts as the administrator.
type Cluster struct {
	*lab.Kube
	Lab *lab.Lab
}

// Start starts an API server, gives it definitions, and installs what install.yaml
// has beside the Deployment: the namespace, the account and its rights.
func Start(l *lab.Lab, o lab.KubeOptions, definitions ...lab.CRDs) (*Cluster, error) {
	k, err := l.StartKubeWith(o)
	if err != nil {
		return nil, err
	}
	c := &Cluster{k, l}
	if err := k.Define(append([]lab.CRDs{lab.OurCRDs}, definitions...)...); err != nil {
		return nil, err
	}
	return c, c.install()
}

// ForTest is Start with Gateway API's and Istio's definitions too, for a test.
func ForTest(t testing.TB, o lab.KubeOptions, programs ...string) *Cluster {
	t.Helper()
	lab.Need(t, append([]string{lab.KubeAPIServer, lab.Etcd}, programs...)...)
	c, err := Start(lab.ForTest(t), o, lab.GatewayAPICRDs, lab.IstioCRDs)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// installed are the kinds of install.yaml without which the controller cannot run
// outside of the cluster. That grants what a role of the chart does, and no more.
var installed = []string{"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}

func (c *Cluster) install() error {
	text, err := os.ReadFile(Path("deploy", "install.yaml"))
	if err != nil {
		return err
	}
	var wanted []string
	for _, document := range strings.Split(string(text), "\n---\n") {
		var o struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			return err
		}
		if slices.Contains(installed, o.Kind) {
			wanted = append(wanted, document)
		}
	}
	return c.ApplyYAML(strings.Join(wanted, "\n---\n"))
}

// Path is a file of the checkout.
func Path(elements ...string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(append([]string{filepath.Dir(file), "..", "..", ".."}, elements...)...)
}

// Eventually waits until ok holds, and says what was seen last where it never does.
func (c *Cluster) Eventually(what string, ok func() (done bool, seen any)) error {
	var last any
	err := c.Lab.Eventually(what, Within, func() bool {
		var done bool
		done, last = ok()
		return done
	})
	if err != nil {
		return fmt.Errorf("%w; last seen: %v", err, last)
	}
	return nil
}

// Object names an object; without a namespace where that is empty.
func Object(apiVersion, kind, namespace, name string) lab.Object {
	meta := lab.Object{"name": name}
	if namespace != "" {
		meta["namespace"] = namespace
	}
	return lab.Object{"apiVersion": apiVersion, "kind": kind, "metadata": meta}
}

// Dig is what an object has under a path of fields; nil where there is nothing.
func Dig(v any, path ...string) any {
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

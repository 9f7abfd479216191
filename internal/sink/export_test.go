package sink

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshknot/meshknot/translators"
)

// What the tests of other packages' output use of those beside them, which cannot
// import what imports this package.
type (
	Kube      = kube
	ConsulLab = consulLab
	Requests  = requests
	Writing   = writing
)

// StartKube starts an API server with the definitions of every mesh.
func StartKube(t *testing.T) *Kube {
	t.Helper()
	k := startKube(t)
	k.define(t, "linkerd", "consul")
	return k
}

// StartConsul starts a Consul.
func StartConsul(t *testing.T) ConsulLab { return startConsul(t) }

// Owner makes a MeshBinding.
func (k *kube) Owner(t *testing.T, name string) Owner { return k.owner(t, name) }

// Writer makes a sink whose requests are counted.
func (k *kube) Writer(t *testing.T, backends ...string) (*Cluster, *Requests) {
	return k.writer(t, backends...)
}

// Namespaces makes those of artifacts.
func (k *kube) Namespaces(t *testing.T, all []translators.Artifact) {
	t.Helper()
	for _, a := range all {
		namespace, _ := placeOf(a.ID)
		k.namespaces(t, namespace)
	}
}

// Writer makes a sink whose requests are counted.
func (c consulLab) Writer(t *testing.T) (*Consul, *Requests) { return c.writer(t) }

// Writes tells how many writes were requested since it was asked last.
func (r *requests) Writes() int { return r.writes() }

// Reconcile does with a sink what the controller does.
var Reconcile = reconcile

// EntryKinds are the kinds of Consul's entries that are looked for.
func EntryKinds() []string { return entryKinds }

// Refusing are the conditions in which meshes refuse objects.
func Refusing() []string {
	var out []string
	for _, t := range tellings {
		out = append(append(out, t.denied...), t.partly...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Known reports whether it is known what meshes say of a kind, if anything.
func Known(k schema.GroupKind) bool {
	_, ok := tellings[k]
	return ok
}

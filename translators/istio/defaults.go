package istio

import (
	"cmp"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// mesh is what a target says of the installation.
type mesh struct {
	trustDomain   string
	clusterDomain string
	rootNamespace string
	// joined: the proxies join the lines of a repeated header before they compare.
	joined bool
}

// localTrustDomain stands in a principal for whatever trust domain the mesh has.
const localTrustDomain = "cluster.local"

func meshOf(t translators.Target) mesh {
	return mesh{
		trustDomain:   cmp.Or(t.TrustDomain, localTrustDomain),
		clusterDomain: cmp.Or(t.Options[clusterDomainOption], "cluster.local"),
		rootNamespace: cmp.Or(t.Options[rootNamespaceOption], "istio-system"),
		joined:        t.Version != "" && t.Version != backend{}.Versions()[0],
	}
}

// host returns the name by which Istio knows a Service wherever it is said.
func (m mesh) host(s ir.Name) string {
	return s.Name + "." + s.Namespace + ".svc." + m.clusterDomain
}

// noRetries is written on every route: unset means two retries. No timeout is
// what unset means, and zero cannot be written.
func noRetries() object { return object{"attempts": int64(0)} }

// everySidecar is written out, for what unset means is up to the installation.
func everySidecar(spec object) object {
	spec["gateways"] = []any{"mesh"}
	spec["exportTo"] = []any{"*"}
	return spec
}

const (
	clusterDomainOption = "cluster-domain"
	rootNamespaceOption = "root-namespace"
)

// Options implements translators.Configurable.
func (backend) Options() []translators.Option {
	return []translators.Option{
		{Key: clusterDomainOption, Form: "cluster-domain=DOMAIN", Help: "domain of the cluster's names (cluster.local)"},
		{Key: rootNamespaceOption, Form: "root-namespace=NAMESPACE", Help: "Istio's root namespace, whose policies hold for the whole mesh (istio-system)"},
	}
}

package linkerd

import (
	"cmp"
	"strings"

	"github.com/meshknot/meshknot/translators"
)

// mesh is what a target says of the installation.
type mesh struct {
	trustDomain   string
	controlPlane  string
	probeNetworks []string
	// denies: what no Server speaks of is denied.
	denies bool
}

func meshOf(t translators.Target) mesh {
	return mesh{
		trustDomain:   cmp.Or(t.TrustDomain, "cluster.local"),
		controlPlane:  cmp.Or(t.Options[controlPlaneOption], "linkerd"),
		probeNetworks: strings.Split(cmp.Or(t.Options[probeNetworksOption], "0.0.0.0/0,::/0"), ","),
		denies:        t.Options[defaultPolicyOption] == "deny",
	}
}

const (
	controlPlaneOption  = "control-plane-namespace"
	defaultPolicyOption = "default-inbound-policy"
	probeNetworksOption = "probe-networks"
)

// Options implements translators.Configurable.
func (backend) Options() []translators.Option {
	return []translators.Option{
		{Key: controlPlaneOption, Form: "control-plane-namespace=NAMESPACE", Help: "where Linkerd is installed, which is in every identity (linkerd)"},
		{Key: defaultPolicyOption, Form: "default-inbound-policy=POLICY", Help: "what Linkerd does on ports without a Server: say deny where it is installed so (all-unauthenticated)"},
		{Key: probeNetworksOption, Form: "probe-networks=CIDR,...", Help: "where the kubelet's probes come from (0.0.0.0/0,::/0)"},
	}
}

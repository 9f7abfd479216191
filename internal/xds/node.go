package xds

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshknot/meshknot/translators/ir"
)

// The back ends whose artifacts proxies ask for; the first is the default.
const (
	backendEnvoy = "envoy"
	backendGRPC  = "grpc"
)

// nodePrefix begins the ID of a node that says who it is by its ID alone:
// "sidecar~shop/web", and after another "~" whatever tells its pods apart.
const nodePrefix = "sidecar~"

// validName is what namespaces and accounts are called.
var validName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

// role is what decides what a proxy gets.
type role struct{ backend, namespace, account string }

func (r role) String() string { return r.backend + "|" + r.namespace + "/" + r.account }

func (r role) identity() ir.Identity {
	return ir.Identity{Namespace: r.namespace, Account: r.account}
}

// identify reads who a node says it is: from its metadata (namespace, account,
// backend) or, where that says nothing, from its ID.
func identify(node *corev3.Node) (role, error) {
	meta := node.GetMetadata().GetFields()
	r := role{
		backend:   cmp.Or(meta["backend"].GetStringValue(), backendEnvoy),
		namespace: meta["namespace"].GetStringValue(),
		account:   meta["account"].GetStringValue(),
	}
	if r.namespace == "" && r.account == "" {
		if rest, ok := strings.CutPrefix(node.GetId(), nodePrefix); ok {
			rest, _, _ = strings.Cut(rest, "~")
			r.namespace, r.account, _ = strings.Cut(rest, "/")
		}
	}
	if r.backend != backendEnvoy && r.backend != backendGRPC {
		return role{}, fmt.Errorf("node %q wants configuration of %q; there is %s and %s", node.GetId(), r.backend, backendEnvoy, backendGRPC)
	}
	if !validName.MatchString(r.namespace) || !validName.MatchString(r.account) {
		return role{}, fmt.Errorf(`node %q does not say who it is: it needs the metadata "namespace" and "account", or an ID like "sidecar~NAMESPACE/ACCOUNT"`, node.GetId())
	}
	return r, nil
}

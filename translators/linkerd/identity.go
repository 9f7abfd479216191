package linkerd

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// name writes an identity as Linkerd's certificates carry it. It reports false for
// a SPIFFE identity, which no certificate of a pod has.
func (m mesh) name(id ir.Identity) (string, bool) {
	if id.SPIFFE != "" || id.Account == "" || id.Namespace == "" {
		return "", false
	}
	return id.Account + "." + id.Namespace + ".serviceaccount.identity." + m.controlPlane + "." + m.trustDomain, true
}

// authentication makes the object by which authorizations name the callers of a grant.
func (p party) authentication(namespace string) translators.Artifact {
	kind, spec := meshTLS, object{"identities": manifest.Anys(p.identities)}
	if p.everyone {
		var networks []any
		for _, n := range p.networks {
			networks = append(networks, object{"cidr": n})
		}
		kind, spec = networkAuthentication, object{"networks": networks}
	}
	a := manifest.New(authorization, kind, namespace, p.object, spec, p.refs)
	a.Rank = rankAuthentication
	return a
}

const (
	meshTLS               = "MeshTLSAuthentication"
	networkAuthentication = "NetworkAuthentication"
)

// authorize makes the object that lets the callers of a grant through to a Server
// or a route.
func (p party) authorize(namespace, name, group, kind, target string, refs []report.Ref) translators.Artifact {
	by := meshTLS
	if p.everyone {
		by = networkAuthentication
	}
	spec := object{
		"targetRef":                  object{"group": group, "kind": kind, "name": target},
		"requiredAuthenticationRefs": []any{object{"group": policyGroup, "kind": by, "name": p.object}},
	}
	a := manifest.New(authorization, "AuthorizationPolicy", namespace, name, spec, refs)
	a.Rank = rankAuthorization
	return a
}

package istio

import (
	"maps"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
)

// principal writes an identity as a policy names it: its SPIFFE URI without the
// scheme. It reports false where Istio would read another identity in it.
func (m mesh) principal(id ir.Identity) (string, bool) {
	p, ok := strings.CutPrefix(id.URI(m.trustDomain), "spiffe://")
	if !ok || p == "" || starEdge(p) {
		return "", false
	}
	// Of a mesh with another name, Istio reads this one as the mesh's own.
	foreign := id.SPIFFE != "" && m.trustDomain != localTrustDomain
	return p, !foreign || !strings.HasPrefix(p, localTrustDomain+"/")
}

// strict refuses whatever comes to the pods without mTLS.
func strict(namespace, name string, selector object) translators.Artifact {
	spec := selecting(selector)
	spec["mtls"] = object{"mode": "STRICT"}
	return manifest.New(security, "PeerAuthentication", namespace, name, spec, nil)
}

// selecting starts the specification of a policy for some pods; none selected
// means all of the namespace.
func selecting(selector object) object {
	if len(selector) == 0 {
		return object{}
	}
	return object{"selector": object{"matchLabels": maps.Clone(selector)}}
}

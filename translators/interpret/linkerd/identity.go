package linkerd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret/routes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

const (
	policyGroup = "policy.linkerd.io"
	meshTLS     = "MeshTLSAuthentication"
	network     = "NetworkAuthentication"
)

// identities says what stands in certificates.
type identities struct{ controlPlane, trustDomain string }

func (i identities) account(namespace, name string) string {
	return name + "." + namespace + ".serviceaccount.identity." + i.controlPlane + "." + i.trustDomain
}

// of returns the name in a caller's certificate, or nothing for one that has none
// of Linkerd's: a SPIFFE identity that names no account of the trust domain.
func (i identities) of(id *ir.Identity) string {
	if id == nil {
		return ""
	}
	if id.SPIFFE == "" {
		return i.account(id.Namespace, id.Account)
	}
	rest, ok := strings.CutPrefix(id.SPIFFE, "spiffe://"+i.trustDomain+"/ns/")
	namespace, account, two := strings.Cut(rest, "/sa/")
	if !ok || !two || strings.Contains(namespace+account, "/") {
		return ""
	}
	return i.account(namespace, account)
}

// authentication is a list of callers.
type authentication struct {
	id translators.ID
	// names that certificates may bear; "*" is any, "*.x" any that ends in ".x".
	names []string
	// networks: addresses are not known, so one that is named holds everybody.
	networks bool
}

// authentications by name, of the two kinds.
type authentications struct{ meshTLS, networks map[ir.Name]*authentication }

func (a *authentication) holds(name string) bool {
	return name != "" && slices.ContainsFunc(a.names, func(n string) bool {
		suffix, any := strings.CutPrefix(n, "*")
		return n == name || any && strings.HasSuffix(name, suffix)
	})
}

type wireReference struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type wireMeshTLS struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   routes.Metadata `json:"metadata"`
	Spec       struct {
		Identities   []string        `json:"identities"`
		IdentityRefs []wireReference `json:"identityRefs"`
	} `json:"spec"`
}

func (m *mesh) addMeshTLS(a translators.Artifact) error {
	var w wireMeshTLS
	if err := routes.Decode(a, &w); err != nil {
		return err
	}
	out := &authentication{id: a.ID, names: w.Spec.Identities}
	for _, r := range w.Spec.IdentityRefs {
		namespace := r.Namespace
		if namespace == "" {
			namespace = w.Metadata.Namespace
		}
		switch {
		case r.Group == "" && r.Kind == "ServiceAccount" && r.Name != "":
			out.names = append(out.names, m.identities.account(namespace, r.Name))
		case r.Group == "" && r.Kind == "Namespace" && r.Name != "":
			out.names = append(out.names, "*"+m.identities.account(r.Name, ""))
		default:
			return fmt.Errorf("%s %s: there is no identity of kind %q", a.ID.Type, a.ID.Name, r.Kind)
		}
	}
	if len(out.names) == 0 {
		return fmt.Errorf("%s %s: it names nobody", a.ID.Type, a.ID.Name)
	}
	m.meshTLS[ir.Name{Namespace: w.Metadata.Namespace, Name: w.Metadata.Name}] = out
	return nil
}

type wireNetwork struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   routes.Metadata `json:"metadata"`
	Spec       struct {
		Networks []struct {
			CIDR   string   `json:"cidr"`
			Except []string `json:"except"`
		} `json:"networks"`
	} `json:"spec"`
}

func (m *mesh) addNetwork(a translators.Artifact) error {
	var w wireNetwork
	if err := routes.Decode(a, &w); err != nil {
		return err
	}
	for _, n := range w.Spec.Networks {
		if n.CIDR == "" {
			return fmt.Errorf("%s %s: a network without its range", a.ID.Type, a.ID.Name)
		}
	}
	if len(w.Spec.Networks) == 0 {
		return fmt.Errorf("%s %s: it names no network", a.ID.Type, a.ID.Name)
	}
	m.networks[ir.Name{Namespace: w.Metadata.Namespace, Name: w.Metadata.Name}] = &authentication{id: a.ID, networks: true}
	return nil
}

// policies are what a port does without, or beside, authorizations: whether it
// lets in those who have an identity, and those who have none.
var policies = map[string]struct{ meshed, others bool }{
	"deny":                    {},
	"audit":                   {true, true}, // it lets in, and tells
	"all-authenticated":       {true, false},
	"all-unauthenticated":     {true, true},
	"cluster-authenticated":   {true, false},
	"cluster-unauthenticated": {true, true},
}

// lets reports whether a policy lets a caller in.
func (m *mesh) lets(policy string, q semantics.Request) bool {
	p := policies[policy]
	return p.others || p.meshed && m.identities.of(q.From) != ""
}

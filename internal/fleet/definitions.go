package fleet

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/crds"
	"github.com/meshknot/meshknot/crds/v1alpha1"
)

const (
	applyDefinitions = "install the definitions: helm upgrade, or kubectl apply --server-side -f of deploy's install.yaml"
	gatewayGroup     = "gateway.networking.k8s.io"
)

// ours returns the definitions that meshknot installs.
func ours() ([]apiextensionsv1.CustomResourceDefinition, error) {
	var out []apiextensionsv1.CustomResourceDefinition
	for _, name := range crds.Names() {
		text, err := fs.ReadFile(crds.Files(), name)
		if err != nil {
			return nil, err
		}
		var d apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, d)
	}
	return out, nil
}

func served(d apiextensionsv1.CustomResourceDefinition) []string {
	var out []string
	for _, v := range d.Spec.Versions {
		if v.Served {
			out = append(out, v.Name)
		}
	}
	return out
}

// definitions checks that the kinds are there that are read and written.
func (c *Cluster) definitions(ctx context.Context) Section {
	s := Section{Name: "definitions"}
	want, err := ours()
	if err != nil {
		s.add("the definitions can be read", Failed, err.Error(), "")
		return s
	}
	for _, w := range want {
		c.definition(ctx, &s, w)
	}
	c.gatewayAPI(ctx, &s)
	return s
}

// definition checks one of ours. A cluster may do without those of SMI.
func (c *Cluster) definition(ctx context.Context, s *Section, want apiextensionsv1.CustomResourceDefinition) {
	name, missing := want.Name+" is served", Failed
	if want.Spec.Group != v1alpha1.Group {
		missing = Warning
	}
	var have apiextensionsv1.CustomResourceDefinition
	switch err := c.client.Get(ctx, client.ObjectKey{Name: want.Name}, &have); {
	case apierrors.IsNotFound(err):
		s.add(name, missing, "there is no such definition", applyDefinitions)
		return
	case err != nil:
		s.unknown(name, err)
		return
	}
	versions := served(have)
	established := slices.ContainsFunc(have.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
	})
	var absent []string
	for _, v := range served(want) {
		if !slices.Contains(versions, v) {
			absent = append(absent, v)
		}
	}
	switch {
	case !established:
		s.add(name, missing, "the API server has not taken it", "kubectl describe crd "+want.Name)
	case len(absent) == len(served(want)):
		s.add(name, missing, fmt.Sprintf("in %s, none of which is known here", strings.Join(versions, ", ")), applyDefinitions)
	case len(absent) > 0:
		s.add(name, Warning, fmt.Sprintf("in %s, but not in %s", strings.Join(versions, ", "), strings.Join(absent, ", ")), applyDefinitions)
	default:
		s.ok(name, "in "+strings.Join(versions, ", "))
	}
}

// gatewayAPI tells whether Gateway API is there, and in which release.
func (c *Cluster) gatewayAPI(ctx context.Context, s *Section) {
	const name = "Gateway API is served"
	var have apiextensionsv1.CustomResourceDefinition
	switch err := c.client.Get(ctx, client.ObjectKey{Name: "httproutes." + gatewayGroup}, &have); {
	case apierrors.IsNotFound(err):
		s.add(name, Warning, "there is no HTTPRoute", "install Gateway API if routes of it are to be read, or written for linkerd and gateway-api")
	case err != nil:
		s.unknown(name, err)
	default:
		bundle := have.Annotations["gateway.networking.k8s.io/bundle-version"]
		s.ok(name, strings.TrimSpace(bundle+" "+have.Annotations["gateway.networking.k8s.io/channel"]))
	}
}

// inTheWay checks that definitions which are there already can become ours.
func (c *Cluster) inTheWay(ctx context.Context) Section {
	s := Section{Name: "definitions"}
	want, err := ours()
	if err != nil {
		s.add("the definitions can be read", Failed, err.Error(), "")
		return s
	}
	for _, w := range want {
		name := w.Name + " can be installed"
		var have apiextensionsv1.CustomResourceDefinition
		switch err := c.client.Get(ctx, client.ObjectKey{Name: w.Name}, &have); {
		case apierrors.IsNotFound(err):
			s.ok(name, "")
		case err != nil:
			s.unknown(name, err)
		default:
			var stored []string
			for _, v := range have.Status.StoredVersions {
				if !slices.ContainsFunc(w.Spec.Versions, func(k apiextensionsv1.CustomResourceDefinitionVersion) bool { return k.Name == v }) {
					stored = append(stored, v)
				}
			}
			switch {
			case have.Spec.Scope != w.Spec.Scope:
				s.add(name, Failed, fmt.Sprintf("there is one whose objects are %s, not %s", have.Spec.Scope, w.Spec.Scope), "delete it, and its objects with it")
			case len(stored) > 0:
				s.add(name, Failed, fmt.Sprintf("objects are stored in %s, which is not known here", strings.Join(stored, ", ")), "migrate what is stored to a version that is")
			default:
				s.ok(name, "one that is there is updated")
			}
		}
	}
	return s
}

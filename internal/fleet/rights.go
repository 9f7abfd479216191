package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/deploy"
)

// right is something that may be allowed.
type right = authorizationv1.ResourceAttributes

func named(r right) string {
	name := strings.TrimSuffix(r.Resource+"."+r.Group, ".")
	if r.Subresource != "" {
		name += "/" + r.Subresource
	}
	if r.Name != "" {
		name += " " + r.Name
	}
	return r.Verb + " " + name
}

// rightsOf lists what rules allow.
func rightsOf(rules []rbacv1.PolicyRule, namespace string) []right {
	var out []right
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				resource, sub, _ := strings.Cut(resource, "/")
				for _, verb := range rule.Verbs {
					out = append(out, right{Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: sub})
				}
			}
		}
	}
	return out
}

// rights checks that the controller may do what it needs, for each back end that a
// binding names. Where it runs in the cluster its account is asked about, else
// whoever asks is.
func (c *Cluster) rights(ctx context.Context, namespace string) Section {
	s := Section{Name: "rights"}
	user := ""
	if running, err := c.deployments(ctx, namespace); err == nil && len(running) > 0 {
		account := running[0].Spec.Template.Spec.ServiceAccountName
		user = "system:serviceaccount:" + running[0].Namespace + ":" + account
	}
	needed := map[string]bool{"controller": true, "namespace": true}
	var bindings v1alpha1.MeshBindingList
	if err := c.client.List(ctx, &bindings); err != nil {
		s.unknown("the back ends in use are known", err)
	}
	for _, b := range bindings.Items {
		for _, name := range grantsFor(b.Spec.Backend) {
			needed[name] = true
		}
	}
	for _, g := range deploy.Grants() {
		if !needed[g.Name] {
			continue
		}
		where := ""
		if g.Namespaced {
			where = namespace
		}
		c.allowed(ctx, &s, purpose(g.Name, user), user, rightsOf(g.Rules, where))
	}
	return s
}

// grantsFor names what writing for a back end needs.
func grantsFor(b v1alpha1.BackendSpec) []string {
	switch b.Name {
	case "consul":
		if b.Options["form"] != "kubernetes" {
			return nil // it is written over Consul's own API
		}
	case "gateway-api":
		mesh, _, _ := strings.Cut(b.Options["authorization"], "@")
		if mesh != "" {
			return []string{b.Name, b.Name + "-" + mesh}
		}
	}
	return []string{b.Name}
}

func purpose(grant, user string) string {
	who := "you"
	if user != "" {
		who = "the controller's account"
	}
	switch grant {
	case "controller":
		return who + " may read policies and report on them"
	case "namespace":
		return who + " may take the lease of who writes"
	}
	return who + " may write for " + grant
}

// allowed checks that a user, or who asks where it is empty, has all of some rights.
func (c *Cluster) allowed(ctx context.Context, s *Section, name, user string, rights []right) {
	missing := make([]string, len(rights))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, r := range rights {
		group.Go(func() error {
			ok, err := c.may(ctx, user, r)
			if !ok {
				missing[i] = named(r)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		s.unknown(name, err)
		return
	}
	missing = slices.DeleteFunc(missing, func(m string) bool { return m == "" })
	if len(missing) == 0 {
		s.ok(name, fmt.Sprintf("%d rights", len(rights)))
		return
	}
	s.add(name, Failed, "may not "+few(missing, 0), "enable the back end in the chart's values, or apply the roles of install.yaml")
}

// may asks the API server whether something is allowed.
func (c *Cluster) may(ctx context.Context, user string, r right) (bool, error) {
	if user == "" {
		review := authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &r}}
		err := c.client.Create(ctx, &review)
		return review.Status.Allowed, err
	}
	groups := []string{"system:authenticated", "system:serviceaccounts"}
	if parts := strings.Split(user, ":"); len(parts) == 4 {
		groups = append(groups, "system:serviceaccounts:"+parts[2])
	}
	review := authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: groups, ResourceAttributes: &r}}
	err := c.client.Create(ctx, &review)
	return review.Status.Allowed, err
}

// installing checks that whoever asks may install meshknot.
func (c *Cluster) installing(ctx context.Context, namespace string) Section {
	s := Section{Name: "rights"}
	create := func(group string, resources ...string) (out []right) {
		for _, r := range resources {
			for _, verb := range []string{"create", "get", "patch"} {
				out = append(out, right{Verb: verb, Group: group, Resource: r})
			}
		}
		return out
	}
	within := func(rights []right) []right {
		for i := range rights {
			rights[i].Namespace = namespace
		}
		return rights
	}
	for _, group := range []struct {
		name   string
		rights []right
	}{
		{"you may install definitions", create("apiextensions.k8s.io", "customresourcedefinitions")},
		{"you may give rights in the cluster", create(rbacv1.GroupName, "clusterroles", "clusterrolebindings")},
		{"you may install webhooks", create("admissionregistration.k8s.io", "validatingwebhookconfigurations")},
		{"you may install a controller in namespace " + namespace, slices.Concat(create("", "namespaces"),
			within(create("apps", "deployments")), within(create("", "services", "serviceaccounts", "secrets")), within(create(rbacv1.GroupName, "roles", "rolebindings")))},
	} {
		c.allowed(ctx, &s, group.name, "", group.rights)
	}
	for i := range s.Checks {
		if s.Checks[i].Result == Failed {
			s.Checks[i].Hint = "install with an account that may, such as one of cluster-admin"
		}
	}
	return s
}

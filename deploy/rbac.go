// Package deploy knows what the controller is allowed to do in a cluster, and
// renders what the chart takes from tables: rules, definitions, webhooks. The
// chart in chart/meshknot is the one source of the kustomize base and of
// install.yaml; the tests of this package write all three (go test ./deploy
// -update) and say when they are stale.
package deploy

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/webhook"
)

// Group of meshknot's own kinds.
const group = "meshknot.io"

// Placeholders that the chart fills in.
const (
	fullName    = "FULLNAME"
	certificate = "CERTIFICATE"
	ownSpace    = "NAMESPACE"
)

var (
	read  = []string{"get", "list", "watch"}
	write = []string{"create", "delete", "get", "list", "patch"}
)

// Grant is a set of rules that is given as a whole: the chart binds those whose
// back end or feature is enabled.
type Grant struct {
	// Name of the role, behind the name of the release.
	Name string
	// Namespaced: it holds in the namespace of the release only.
	Namespaced bool
	Rules      []rbacv1.PolicyRule
}

// Grants lists everything that the controller may ever be allowed to do.
func Grants() []Grant {
	out := []Grant{
		{Name: "controller", Rules: controllerRules()},
		{Name: "webhook", Rules: webhookRules()},
		{Name: "namespace", Namespaced: true, Rules: namespaceRules()},
		{Name: "namespace-certificate", Namespaced: true, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{certificate}, Verbs: []string{"get", "update"}},
		}},
		{Name: "namespace-rules", Namespaced: true, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list", "watch"}},
		}},
		{Name: "conversion", Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}, ResourceNames: webhook.Converted(), Verbs: []string{"get", "update"}},
		}},
	}
	for _, backend := range []string{"istio", "linkerd", "consul"} {
		out = append(out, Grant{Name: backend, Rules: writing(sinkKinds(backend, everyGroup))})
		out = append(out, Grant{Name: "gateway-api-" + backend, Rules: writing(sinkKinds(backend, authorizing[backend]))})
	}
	out = append(out, Grant{Name: "gateway-api", Rules: writing(sinkKinds("gateway-api", isGateway))})
	slices.SortFunc(out, func(a, b Grant) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// authorizing says which of a mesh's kinds authorization is written in, where
// routes are Gateway API's.
var authorizing = map[string]func(resource) bool{
	"istio":   func(r resource) bool { return r.group == "security.istio.io" },
	"linkerd": func(r resource) bool { return r.group == "policy.linkerd.io" },
	"consul": func(r resource) bool {
		return slices.Contains([]string{"serviceintentions", "servicedefaults"}, r.name)
	},
}

func everyGroup(resource) bool  { return true }
func isGateway(r resource) bool { return r.group == "gateway.networking.k8s.io" }

// resource is a kind as RBAC names it.
type resource struct{ group, name string }

// irregular are the resources of written kinds that are not their kind in small
// letters with an s; a test holds all of them against the meshes' definitions.
var irregular = map[string]string{
	"AuthorizationPolicy": "authorizationpolicies", "Mesh": "meshes",
	"ServiceDefaults": "servicedefaults", "ServiceIntentions": "serviceintentions",
}

func resourceOf(group, kind string) resource {
	if name := irregular[kind]; name != "" {
		return resource{group, name}
	}
	return resource{group, strings.ToLower(kind) + "s"}
}

func sinkKinds(backend string, where func(resource) bool) []resource {
	var out []resource
	for _, k := range sink.Kinds(backend) {
		if r := resourceOf(k.Group, k.Kind); where(r) {
			out = append(out, r)
		}
	}
	return out
}

// followed lists what the feed follows. Definitions tell it that kinds come and go.
func followed() []resource {
	out := []resource{{"apiextensions.k8s.io", "customresourcedefinitions"}}
	for _, k := range feed.Kinds(all.Pipeline().Schemas()) {
		out = append(out, resource{k.Group, k.Resource})
	}
	return out
}

func controllerRules() []rbacv1.PolicyRule {
	out := rules(followed(), read)
	out = append(out, rules(statuses(), []string{"patch", "update"})...)
	return append(out,
		// What an ApplySet's parent says of its members, and the finalizer.
		rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{"meshbindings"}, Verbs: []string{"patch"}},
		rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{"meshbindings/status"}, Verbs: []string{"patch", "update"}},
		rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{"translationreports"}, Verbs: []string{"create", "delete", "patch", "update"}},
		rbacv1.PolicyRule{APIGroups: []string{"", "events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
		rbacv1.PolicyRule{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
		rbacv1.PolicyRule{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
	)
}

// statuses are the objects whose conditions say what became of them.
func statuses() []resource {
	var out []resource
	for _, r := range followed() {
		if r.group == "gateway.networking.k8s.io" && r.name != "referencegrants" || strings.HasSuffix(r.group, ".smi-spec.io") {
			out = append(out, resource{r.group, r.name + "/status"})
		}
	}
	return out
}

// webhookRules let the controller put the authority of its certificate where the API
// server looks.
func webhookRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{"admissionregistration.k8s.io"}, Resources: []string{"validatingwebhookconfigurations"}, ResourceNames: []string{fullName}, Verbs: []string{"get", "update"}},
	}
}

func namespaceRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create", "delete", "get", "list", "update", "watch"}},
	}
}

// writing allows to write, and of what meshes say something to watch it.
func writing(resources []resource) []rbacv1.PolicyRule {
	var spoken, silent []resource
	for _, r := range resources {
		if speaking(r) {
			spoken = append(spoken, r)
		} else {
			silent = append(silent, r)
		}
	}
	return append(rules(spoken, append(slices.Clone(write), "watch")), rules(silent, write)...)
}

// speaking reports whether meshes say of a kind what they make of it.
func speaking(r resource) bool {
	return slices.ContainsFunc(sink.AllSpeaking(), func(s sink.Speaking) bool { return s.Group == r.group && s.Resource == r.name })
}

// rules allows verbs for resources, a rule for each group, sorted.
func rules(resources []resource, verbs []string) []rbacv1.PolicyRule {
	byGroup := map[string][]string{}
	var groups []string
	for _, r := range resources {
		if byGroup[r.group] == nil {
			groups = append(groups, r.group)
		}
		byGroup[r.group] = append(byGroup[r.group], r.name)
	}
	slices.Sort(groups)
	var out []rbacv1.PolicyRule
	for _, g := range groups {
		names := byGroup[g]
		slices.Sort(names)
		out = append(out, rbacv1.PolicyRule{APIGroups: []string{g}, Resources: slices.Compact(names), Verbs: verbs})
	}
	return out
}

package webhook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
)

// Registration says how an API server is told of the webhook.
type Registration struct {
	// Name of the object; "meshknot" when empty.
	Name string
	// Namespace that meshknot runs in and Account, its user name, which are left alone.
	Namespace, Account string
	// Service by which it is reached on Port (443 when zero); or URL, its address,
	// where there is none.
	Service string
	Port    int32
	URL     string
	// CABundle in PEM; empty where somebody fills it in.
	CABundle []byte
	// Foreign says what happens to objects of kinds that are not ours while the
	// webhook is away; Ignore when empty. Policies overrides it, and nothing else
	// but Ignore for ConfigMaps, by kind, as "TrafficTarget.access.smi-spec.io".
	Foreign  admissionregistrationv1.FailurePolicyType
	Policies map[string]admissionregistrationv1.FailurePolicyType
	// Timeout in seconds that the API server waits; 5 when zero.
	Timeout int32
}

// Configuration makes the object: a webhook for each failurePolicy and label that
// kinds have, each with rules for those kinds alone.
func (r Registration) Configuration() *admissionregistrationv1.ValidatingWebhookConfiguration {
	out := &admissionregistrationv1.ValidatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: cmp.Or(r.Name, "meshknot"), Labels: map[string]string{"app.kubernetes.io/name": "meshknot", "app.kubernetes.io/part-of": "meshknot"}},
	}
	for _, k := range Kinds() {
		name, policy := webhookName(k), r.policy(k)
		if policy == admissionregistrationv1.Fail {
			name = "fail." + name
		}
		i := slices.IndexFunc(out.Webhooks, func(w admissionregistrationv1.ValidatingWebhook) bool { return w.Name == name })
		if i < 0 {
			i = len(out.Webhooks)
			out.Webhooks = append(out.Webhooks, r.webhook(name, policy, k))
		}
		out.Webhooks[i].Rules = append(out.Webhooks[i].Rules, rule(k))
	}
	return out
}

// Converted lists the CustomResourceDefinitions of SMI that have more than one
// version: those that Converting is for.
func Converted() []string {
	var out []string
	for _, k := range Kinds() {
		if strings.HasSuffix(k.Group, ".smi-spec.io") && len(k.Versions) > 1 {
			out = append(out, k.Resource+"."+k.Group)
		}
	}
	return out
}

// Converting changes a CustomResourceDefinition of SMI so that objects are converted
// by the webhook. The versions before the one in which objects are stored become
// served. A later one does not: the API server prefers the latest, so that who asks
// for none in particular, such as who clears a namespace that ends, would depend on
// the webhook.
func (r Registration) Converting(definition map[string]any) error {
	versions, _, err := unstructured.NestedSlice(definition, "spec", "versions")
	if err != nil {
		return err
	}
	stored := ""
	for _, v := range versions {
		if o, _ := v.(map[string]any); o["storage"] == true {
			stored, _ = o["name"].(string)
		}
	}
	for _, v := range versions {
		o, _ := v.(map[string]any)
		if name, _ := o["name"].(string); version.CompareKubeAwareVersionStrings(name, stored) < 0 {
			o["served"] = true
		}
	}
	if err := unstructured.SetNestedSlice(definition, versions, "spec", "versions"); err != nil {
		return err
	}
	at := r.client(ConvertPath) // which a definition has in the same form
	config, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&at)
	if err != nil {
		return err
	}
	return unstructured.SetNestedMap(definition, map[string]any{"strategy": string(apiextensionsv1.WebhookConverter),
		"webhook": map[string]any{"clientConfig": config, "conversionReviewVersions": []any{"v1"}}}, "spec", "conversion")
}

// webhookName is a name for the webhook of a kind; audit annotations begin with it.
func webhookName(k Kind) string {
	switch {
	case k.Label != "":
		return "rules.meshknot.io"
	case k.Ours:
		return "own.meshknot.io"
	}
	return "validate.meshknot.io"
}

// policy is what happens to a kind while the webhook is away.
func (r Registration) policy(k Kind) admissionregistrationv1.FailurePolicyType {
	switch {
	case k.Ours:
		return admissionregistrationv1.Fail
	case k.Label != "":
		return admissionregistrationv1.Ignore // rules that are wrong are never in force
	}
	name := k.Kind + "." + k.Group
	return cmp.Or(r.Policies[name], r.Foreign, admissionregistrationv1.Ignore)
}

func (r Registration) webhook(name string, policy admissionregistrationv1.FailurePolicyType, k Kind) admissionregistrationv1.ValidatingWebhook {
	none, equivalent := admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Equivalent
	timeout := cmp.Or(r.Timeout, 5)
	w := admissionregistrationv1.ValidatingWebhook{
		Name: name, FailurePolicy: &policy, SideEffects: &none, MatchPolicy: &equivalent, TimeoutSeconds: &timeout,
		AdmissionReviewVersions: []string{"v1"}, ClientConfig: r.client(ValidatePath),
	}
	excluded := []string{kubeSystem}
	if r.Namespace != "" && k.Label == "" {
		excluded = append(excluded, r.Namespace)
	}
	w.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
		Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: excluded}}}
	if k.Label != "" {
		w.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{k.Label: "true"}}
	}
	if r.Account != "" {
		w.MatchConditions = append(w.MatchConditions, admissionregistrationv1.MatchCondition{
			Name: "not-meshknot", Expression: fmt.Sprintf("request.userInfo.username != %q", r.Account)})
	}
	return w
}

func rule(k Kind) admissionregistrationv1.RuleWithOperations {
	scope := admissionregistrationv1.NamespacedScope
	if k.Cluster {
		scope = admissionregistrationv1.ClusterScope
	}
	operations := []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}
	if !k.Ours && k.Label == "" {
		operations = append(operations, admissionregistrationv1.Delete)
	}
	return admissionregistrationv1.RuleWithOperations{Operations: operations, Rule: admissionregistrationv1.Rule{
		APIGroups: []string{k.Group}, APIVersions: slices.Clone(k.Versions), Resources: []string{k.Resource}, Scope: &scope}}
}

// client says where a path of the webhook is.
func (r Registration) client(path string) admissionregistrationv1.WebhookClientConfig {
	c := admissionregistrationv1.WebhookClientConfig{CABundle: r.CABundle}
	if r.URL != "" {
		url := r.URL + path
		c.URL = &url
		return c
	}
	port := cmp.Or(r.Port, 443)
	c.Service = &admissionregistrationv1.ServiceReference{Namespace: r.Namespace, Name: r.Service, Path: &path, Port: &port}
	return c
}

package fleet

import (
	"context"
	"maps"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/rules"
)

// exempt checks that a webhook is not asked about the namespaces without which nothing
// works: that of the cluster's own programs, and that of the controller, which could
// not come back. One that is for rules is asked about those of the controller.
func (c *Cluster) exempt(ctx context.Context, s *Section, name string, w admissionv1.ValidatingWebhook, namespace string) {
	ofRules := w.ObjectSelector != nil && w.ObjectSelector.MatchLabels[rules.Label] != ""
	alone, left := []string{metav1.NamespaceSystem, namespace}, name+" leaves the controller and the cluster alone"
	if ofRules {
		alone, left = alone[:1], name+" leaves the cluster alone"
	}
	selector := labels.Everything()
	if w.NamespaceSelector != nil {
		var err error
		if selector, err = metav1.LabelSelectorAsSelector(w.NamespaceSelector); err != nil {
			s.add(left, Failed, err.Error(), "apply the chart's webhooks again")
			return
		}
	}
	var asked []string
	for _, one := range alone {
		if selector.Matches(c.labelsOf(ctx, one)) {
			asked = append(asked, one)
		}
	}
	result := Warning
	if w.FailurePolicy == nil || *w.FailurePolicy == admissionv1.Fail {
		result = Failed
	}
	if len(asked) > 0 {
		s.add(left, result, "it is asked about objects of "+strings.Join(asked, " and "), "exclude them by its namespaceSelector, as the chart does")
	} else {
		s.ok(left, "")
	}
	if ofRules && !selector.Matches(c.labelsOf(ctx, namespace)) {
		s.add(name+" is asked about rules", Warning, "its namespaceSelector leaves out "+namespace, "apply the chart's webhooks again: who edits rules is not warned of what does not compile")
	}
}

// labelsOf are the labels of a namespace; where it cannot be read, that of its name.
func (c *Cluster) labelsOf(ctx context.Context, name string) labels.Set {
	out := labels.Set{corev1.LabelMetadataName: name}
	var n corev1.Namespace
	if err := c.client.Get(ctx, client.ObjectKey{Name: name}, &n); err == nil {
		maps.Copy(out, n.Labels)
	}
	return out
}

// conversions checks what converts objects between versions, where something does.
func (c *Cluster) conversions(ctx context.Context, s *Section) {
	want, err := ours()
	if err != nil {
		return // which the section of definitions says
	}
	for _, w := range want {
		var have apiextensionsv1.CustomResourceDefinition
		if w.Spec.Group == v1alpha1.Group || c.client.Get(ctx, client.ObjectKey{Name: w.Name}, &have) != nil {
			continue
		}
		if by := have.Spec.Conversion; by != nil && by.Strategy == apiextensionsv1.WebhookConverter && by.Webhook != nil && by.Webhook.ClientConfig != nil {
			c.conversion(ctx, s, "conversion of "+w.Name, *by.Webhook.ClientConfig)
		}
	}
}

func (c *Cluster) conversion(ctx context.Context, s *Section, name string, at apiextensionsv1.WebhookClientConfig) {
	roots := c.authority(s, name, at.CABundle)
	var service client.ObjectKey
	if at.Service != nil {
		service = client.ObjectKey{Namespace: at.Service.Namespace, Name: at.Service.Name}
	}
	name += " can be reached"
	if err := c.reached(ctx, at.URL, service, roots); err != nil {
		s.add(name, Failed, err.Error()+": who asks for another version than the stored one is answered with an error",
			"look at the controller's log and readiness, or install the definitions without webhook.convertSMI")
		return
	}
	s.ok(name, "")
}

package gatewayapi

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
)

// letsIn reports whether objects of a namespace may attach to one in another, by
// what the latter says: from which namespaces, and by which selector.
func letsIn(r input.Reader, own, namespace string, from gatewayv1.FromNamespaces, selector *metav1.LabelSelector) bool {
	switch from {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return own == namespace
	case gatewayv1.NamespacesFromSelector:
		s, err := metav1.LabelSelectorAsSelector(selector) // nil selects nothing
		return err == nil && selects(r, s, namespace)
	}
	return false
}

// unreadable returns why a selector, if it is asked, selects nothing at all.
func unreadable(from gatewayv1.FromNamespaces, selector *metav1.LabelSelector) string {
	if from != gatewayv1.NamespacesFromSelector {
		return ""
	}
	if selector == nil {
		return "there is none"
	}
	if _, err := metav1.LabelSelectorAsSelector(selector); err != nil {
		return err.Error()
	}
	return ""
}

// selects reports whether a selector holds for a namespace. The API server gives
// every namespace its name as a label; of one that is not given nothing else is
// known, and a selector that asks for more does not let it in.
func selects(r input.Reader, s labels.Selector, namespace string) bool {
	known := labels.Set{}
	o, given := r.Get(input.ID{Kind: "Namespace", Name: namespace})
	if given = given && !o.Rejected; given {
		maps.Copy(known, o.Labels)
	}
	known[nameLabel] = namespace
	asked, _ := s.Requirements()
	for _, q := range asked {
		if !given && q.Key() != nameLabel {
			return false
		}
	}
	return s.Matches(known)
}

const nameLabel = "kubernetes.io/metadata.name"

package smi

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// binding reads an IdentityBinding. Its schemes add up, each other way to say
// who is meant; pods and an account are two ways to say the same.
func binding(d *decoder, w wireBinding) *Binding {
	const field = "spec.schemes"
	b := &Binding{Account: w.Spec.Schemes.ServiceAccount, Field: field}
	selector, labels := w.Spec.Schemes.PodLabelSelector, input.Field(field, "podLabelSelector")
	switch {
	case selector == nil:
	case len(selector.MatchLabels) == 0:
		d.errorf(report.BadValue, labels, "name labels under matchLabels", "a selector without labels would be every pod of the namespace")
	default:
		b.PodLabels = selector.MatchLabels
	}
	if selector != nil && b.Account != "" {
		d.errorf(report.BadValue, labels, "write two IdentityBindings", "podLabelSelector and serviceAccount exclude each other")
	}
	for i, s := range w.Spec.Schemes.SPIFFEIdentities {
		at := input.Element(input.Field(field, "spiffeIdentities"), i)
		id, ok := spiffe(s)
		if !ok {
			d.errorf(report.BadValue, at, "write it as spiffe://cluster.local/ns/shop/sa/web", "%q is no SPIFFE identity", s)
			continue
		}
		b.SPIFFE = append(b.SPIFFE, id)
	}
	slices.Sort(b.SPIFFE)
	b.SPIFFE = slices.Compact(b.SPIFFE)
	if selector == nil && b.Account == "" && len(w.Spec.Schemes.SPIFFEIdentities) == 0 {
		d.errorf(report.MissingField, field, "name a serviceAccount, spiffeIdentities or a podLabelSelector", "the binding names nobody")
	}
	return b
}

// identityForm is that of a SPIFFE identity: a trust domain and a path without
// escapes. Many leave the scheme out.
var identityForm = regexp.MustCompile(`^(?:spiffe://)?([a-z0-9._-]+(?:/[a-zA-Z0-9._-]+)+)$`)

// spiffe returns an identity with its scheme.
func spiffe(s string) (string, bool) {
	parts := identityForm.FindStringSubmatch(s)
	if parts == nil || strings.Contains(s+"/", "/./") || strings.Contains(s+"/", "/../") {
		return "", false
	}
	return "spiffe://" + parts[1], true
}

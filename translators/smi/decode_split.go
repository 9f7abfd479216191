package smi

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

func split1(d *decoder, w wireSplit) *Split { return d.split(w.Spec, nil) }

func split3(d *decoder, w wireMatchedSplit) *Split {
	return d.split(w.Spec.wireSplitSpec, w.Spec.Matches)
}

func (d *decoder) split(w wireSplitSpec, matches []corev1.TypedLocalObjectReference) *Split {
	s := &Split{Service: w.Service, ServiceField: "spec.service"}
	d.require(w.Service, s.ServiceField, "the service that is split")
	if len(w.Backends) == 0 {
		d.errorf(report.MissingField, "spec.backends", "", "a split needs backends")
	}
	for i, m := range matches {
		s.Matches = append(s.Matches, d.splitMatch(m, input.Element("spec.matches", i)))
	}
	weights := d.weights(w.Backends)
	for i, b := range w.Backends {
		field := input.Element("spec.backends", i)
		d.require(b.Service, input.Field(field, "service"), "the backend's service")
		s.Backends = append(s.Backends, SplitBackend{Service: b.Service, Weight: weights[i], Field: field})
	}
	return s
}

// splitMatch reads a reference to an HTTPRouteGroup. A split has no way to name
// single matches of it.
func (d *decoder) splitMatch(m corev1.TypedLocalObjectReference, field string) RouteRef {
	r := RouteRef{Group: GroupSpecs, Kind: m.Kind, Name: m.Name, AllMatches: true, Field: field}
	if m.APIGroup != nil && *m.APIGroup != "" && *m.APIGroup != GroupSpecs {
		r.Group = *m.APIGroup
		d.errorf(report.BadKind, input.Field(field, "apiGroup"), "write "+GroupSpecs+", or leave it out",
			"a split is matched by objects of %s, not of %q", GroupSpecs, r.Group)
	}
	if m.Kind != KindHTTPRouteGroup {
		d.errorf(report.BadKind, input.Field(field, "kind"), "write "+KindHTTPRouteGroup,
			"a split is matched by an %s, not by %q", KindHTTPRouteGroup, m.Kind)
	}
	d.require(m.Name, input.Field(field, "name"), "the name of the "+KindHTTPRouteGroup)
	return r
}

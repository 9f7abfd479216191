package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/report"
)

// ours judges objects of this project's own kinds.
func (h *Handler) ours(ctx context.Context, q *admissionv1.AdmissionRequest) (verdict, error) {
	at := report.Ref{Group: q.Kind.Group, Kind: q.Kind.Kind, Namespace: q.Namespace, Name: q.Name}
	var v verdict
	switch {
	case q.Operation == admissionv1.Delete: // a binding may always be given up, and a report is made again
	case q.Kind.Kind == v1alpha1.KindTranslationReport:
		f := report.New(report.BadValue, at, "only the controller writes reports; "+q.UserInfo.Username+" is not it")
		f.Hint = "edit the object that the report is about"
		v.denies = append(v.denies, f)
	case q.Kind.Kind == v1alpha1.KindMeshBinding && h.bindings != nil:
		var b v1alpha1.MeshBinding
		d := json.NewDecoder(bytes.NewReader(q.Object.Raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&b); err != nil {
			v.denies = append(v.denies, report.New(report.WrongType, at, err.Error()))
			break
		}
		v.add(h.bindings.Check(ctx, b))
	}
	return v.settled(q), nil
}

// configMap judges rules. They are compiled beside those in force, and are none
// themselves yet: what is wrong denies, except in the namespace of meshknot, where
// it warns, for the last good rules stay in force.
func (h *Handler) configMap(q *admissionv1.AdmissionRequest) (verdict, error) {
	at := report.Ref{Kind: q.Kind.Kind, Namespace: q.Namespace, Name: q.Name}
	var o struct {
		Metadata struct{ Labels, Annotations map[string]string }
		Data     map[string]string
	}
	if q.Operation == admissionv1.Delete || h.rules == nil {
		return verdict{}, nil
	}
	if err := json.Unmarshal(q.Object.Raw, &o); err != nil || o.Metadata.Labels[PolicyLabel] != "true" {
		return verdict{exempt: true}, nil
	}
	if q.Namespace != h.o.PolicyNamespace {
		f := report.New(report.NoEffect, at.At("metadata.labels"), fmt.Sprintf("rules are read from namespace %q alone", h.o.PolicyNamespace))
		f.Severity, f.Hint = report.Warning, ""
		return verdict{warns: report.Report{f}}, nil
	}
	modules, parameters := policies.FromConfigMap(path.Join(q.Namespace, q.Name), o.Data, o.Metadata.Annotations)
	var v verdict
	for _, f := range h.rules.Check(modules, parameters) {
		f.Source = at
		if f.At.File != "" {
			f.Source.Field = fmt.Sprintf("data[%q]", path.Base(f.At.File))
			f.Message = fmt.Sprintf("line %d: %s", f.At.Line, f.Message)
		}
		if q.Namespace == h.o.Namespace {
			f.Severity = report.Warning
		}
		v.add(report.Report{f})
	}
	return v.settled(q), nil
}

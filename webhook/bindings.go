package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/report"
)

// Known are the bindings that there are, and the labels of namespaces.
type Known interface {
	Bindings() []binding.Binding
	Namespaces() map[string]map[string]string
}

// NewBindings returns what judges MeshBindings by the back ends of a pipeline and
// beside those that are known.
func NewBindings(p translators.Pipeline, known Known) Bindings { return bindingCheck{p, known} }

type bindingCheck struct {
	pipeline translators.Pipeline
	known    Known
}

// Check says what Decode and Resolve say of a binding in the place of that of its name.
func (c bindingCheck) Check(_ context.Context, b v1alpha1.MeshBinding) report.Report {
	at := report.Ref{Group: v1alpha1.Group, Kind: v1alpha1.KindMeshBinding, Name: b.Name}
	decoded, err := binding.Decode(b, c.pipeline)
	if err != nil {
		f := report.New(report.BadValue, at, err.Error())
		var wrong *binding.Error
		if errors.As(err, &wrong) {
			f.Source.Field, f.Message = wrong.Field, wrong.Message
		}
		f.Severity, f.Hint = report.Error, ""
		return report.Report{f}
	}
	all := []binding.Binding{decoded}
	for _, other := range c.known.Bindings() {
		if other.Name != b.Name {
			all = append(all, other)
		}
	}
	now := time.Now()
	if decoded.Created.IsZero() {
		all[0].Created = now
	}
	table := binding.Resolve(all, c.known.Namespaces(), now)
	var found report.Report
	if why := table.Conflicts[b.Name]; why != "" {
		f := report.New(report.BindingConflict, at.At("spec.namespaceSelector"), why)
		f.Hint = "select other namespaces, or edit the older binding"
		found = append(found, f)
	} else if len(table.Namespaces[b.Name]) == 0 {
		f := report.New(report.NoEffect, at.At("spec.namespaceSelector"), fmt.Sprintf("no namespace has the labels %q yet", decoded.Selector))
		f.Severity, f.Hint = report.Warning, ""
		found = append(found, f)
	}
	return found
}

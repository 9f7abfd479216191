package cluster

import (
	"fmt"
	"strings"

	"github.com/meshknot/meshknot/crds/v1alpha1"
)

// Report is what a TranslationReport says of an object on a binding.
type Report struct {
	// Generation of the object that it speaks of; zero while there is no report.
	Generation int64
	Backend    string
	// Conditions are "Status/Reason" by type, and Messages theirs.
	Conditions, Messages map[string]string
	// Artifacts are as "Type Name", sorted.
	Artifacts []string
}

// String renders the conditions in a fixed order.
func (r Report) String() string {
	return fmt.Sprintf("generation %d: %s", r.Generation, strings.Join([]string{r.Conditions[v1alpha1.ConditionAccepted], r.Conditions[v1alpha1.ConditionTranslated],
		r.Conditions[v1alpha1.ConditionProgrammed] + " " + r.Messages[v1alpha1.ConditionProgrammed], r.Conditions[v1alpha1.ConditionLossFree]}, ", "))
}

// Programmed reports whether an object is in force on the mesh, at a generation at least.
func (r Report) Programmed(generation int64) bool {
	return r.Generation >= generation && strings.HasPrefix(r.Conditions[v1alpha1.ConditionProgrammed], "True/")
}

// Report reads what is said of an object on a binding: an empty Report where
// nothing is.
func (c *Cluster) Report(group, kind, namespace, name, binding string) Report {
	r := Report{Conditions: map[string]string{}, Messages: map[string]string{}}
	o, err := c.Get(Object("meshknot.io/v1alpha1", "TranslationReport", namespace, v1alpha1.ReportName(group, kind, name)))
	if err != nil {
		return r
	}
	backends, _ := Dig(o, "status", "backends").([]any)
	for _, b := range backends {
		if Dig(b, "binding") == binding {
			generation, _ := Dig(o, "status", "observedGeneration").(float64)
			r.Generation = int64(generation)
			r.Backend, _ = Dig(b, "backend").(string)
			r.read(b)
		}
	}
	return r
}

func (r *Report) read(backend any) {
	conditions, _ := Dig(backend, "conditions").([]any)
	for _, one := range conditions {
		kind, _ := Dig(one, "type").(string)
		r.Conditions[kind] = fmt.Sprintf("%v/%v", Dig(one, "status"), Dig(one, "reason"))
		r.Messages[kind] = fmt.Sprint(Dig(one, "message"))
	}
	artifacts, _ := Dig(backend, "artifacts").([]any)
	for _, one := range artifacts {
		r.Artifacts = append(r.Artifacts, fmt.Sprintf("%v %v", Dig(one, "type"), Dig(one, "name")))
	}
}

package controller

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/report"
)

// The reasons of conditions in reports.
const (
	reasonAccepted    = "Accepted"
	reasonInvalid     = "Invalid"
	reasonConflicted  = "Conflicted"
	reasonNotAttached = "NotAttached"

	reasonTranslated = "Translated"
	reasonPartial    = "PartiallyInvalid"
	reasonRefused    = "Refused"
	reasonLastGood   = "LastGood"
	reasonWithheld   = "Withheld"
	reasonCrashed    = "Crashed"

	reasonProgrammed   = "Programmed"
	reasonNoArtifacts  = "NoArtifacts"
	reasonPending      = "Pending"
	reasonRetrying     = "Retrying"
	reasonForeign      = "Foreign"
	reasonClaimed      = "Claimed"
	reasonNotServed    = "KindNotServed"
	reasonNoProxies    = "NoProxies"
	reasonRejected     = "Rejected"
	reasonPaused       = "Paused"
	reasonNoSink       = "NoSink"
	reasonLossFree     = "LossFree"
	reasonInvalidBound = "InvalidBinding"
)

// subject is an object that there is something to be said of.
type subject struct {
	ref        report.Ref
	version    string
	uid        string
	generation int64
	rejected   bool
	found      report.Report // of decoding it
	audited    report.Report // what rules have against it
	made       []engine.Made
	bindings   []service // that concern it, sorted
	// behind is, by binding, why what is in force there is not what it asks for, though
	// perhaps nothing is wrong with the subject.
	behind      map[string]string
	programming func(service, []translators.Artifact) condition
}

// service is a binding as reports name it.
type service struct {
	binding, backend, version string
}

// condition is a condition without its times.
type condition struct {
	Type, Status, Reason, Message string
}

func holds(kind, reason, message string) condition {
	return condition{kind, string(metav1.ConditionTrue), reason, message}
}

func fails(kind, reason, message string) condition {
	return condition{kind, string(metav1.ConditionFalse), reason, message}
}

// unknown is what is said of Programmed while it cannot be told.
func unknown(reason, message string) condition {
	return condition{v1alpha1.ConditionProgrammed, string(metav1.ConditionUnknown), reason, message}
}

// status makes what a report says of a subject.
func (s subject) status() v1alpha1.TranslationReportStatus {
	out := v1alpha1.TranslationReportStatus{
		Source:             v1alpha1.SourceReference{APIVersion: apiVersion(s.ref.Group, s.version), Kind: s.ref.Kind, Name: s.ref.Name, UID: s.uid},
		ObservedGeneration: s.generation,
	}
	own := s.own()
	out.Findings = findings(slices.Concat(own, s.audited))
	for _, b := range s.bindings[:min(len(s.bindings), 16)] {
		out.Backends = append(out.Backends, s.backend(b, own))
	}
	return out
}

func apiVersion(group, version string) string {
	if group == "" {
		return version
	}
	return group + "/" + version
}

// own are the findings about the subject that concern no back end.
func (s subject) own() report.Report {
	out := slices.Clone(s.found)
	for _, m := range s.made {
		out = append(out, s.about(m.Findings)...)
	}
	return out.Sorted()
}

// about are those of findings of a unit that are at the subject. A defect of ours is
// at the unit, and concerns all that take part in that.
func (s subject) about(found report.Report) report.Report {
	var out report.Report
	for _, f := range found {
		switch at := f.Source.Object(); {
		case at == s.ref:
			out = append(out, f)
		case f.Code == report.Crashed:
			f.Source, f.Message = s.ref, at.String()+": "+f.Message
			out = append(out, f)
		}
	}
	return out
}

// backend makes what there is to be said of a subject on one mesh.
func (s subject) backend(b service, own report.Report) v1alpha1.BackendReport {
	out := v1alpha1.BackendReport{Binding: b.binding, Backend: b.backend, Version: b.version}
	var found report.Report
	var artifacts []translators.Artifact
	var kept, withheld bool
	for _, m := range s.made {
		for _, p := range m.Pieces {
			if p.Name != b.binding {
				continue
			}
			here := s.about(p.Findings)
			found = append(found, here...)
			kept = kept || p.Kept && len(here) > 0
			withheld = withheld || p.Withheld
			for _, a := range p.Artifacts {
				if slices.ContainsFunc(a.Refs, func(r report.Ref) bool { return r.Object() == s.ref }) {
					artifacts = append(artifacts, a)
				}
			}
		}
	}
	found = found.Sorted()
	out.Artifacts = references(artifacts)
	accepted := s.accepted(own)
	translated := s.translated(accepted, own, found, whyKept(kept, s.behind[b.binding]), withheld)
	programmed := s.programmed(b, translated, artifacts)
	out.Findings = findings(append(found, s.unwritten(translated, programmed, artifacts)...))
	for _, c := range []condition{accepted, translated, programmed, lossFree(found)} {
		out.Conditions = append(out.Conditions, metav1.Condition{Type: c.Type, Status: metav1.ConditionStatus(c.Status), Reason: c.Reason,
			Message: cut(c.Message, v1alpha1.MaxMessage), ObservedGeneration: s.generation})
	}
	return out
}

// conflicts are the findings for which an object loses to another one as a whole,
// and detached those for which nobody takes it.
var (
	conflicts = []report.Code{report.SplitConflict, report.KindConflict, report.ListenerConflict, report.DuplicateObject}
	detached  = []report.Code{report.NotAttached, report.UnknownParent, report.NoListener}
)

// accepted says whether an object can be read and has an effect.
func (s subject) accepted(own report.Report) condition {
	if s.rejected {
		return fails(v1alpha1.ConditionAccepted, reasonInvalid, first(s.found, "the object cannot be read"))
	}
	if f, ok := firstOf(own, conflicts); ok {
		return fails(v1alpha1.ConditionAccepted, reasonConflicted, f.Message)
	}
	if f, ok := firstOf(own, detached); ok && f.Severity == report.Error {
		return fails(v1alpha1.ConditionAccepted, reasonNotAttached, f.Message)
	}
	return holds(v1alpha1.ConditionAccepted, reasonAccepted, "")
}

// translated says whether the back end's form of an object could be made.
func (s subject) translated(accepted condition, own, found report.Report, kept string, withheld bool) condition {
	const kind = v1alpha1.ConditionTranslated
	wrong := slices.Concat(own, found)
	if f, ok := firstOf(wrong, []report.Code{report.Crashed}); ok {
		return fails(kind, reasonCrashed, f.Message)
	}
	switch refused := errorsOf(found); {
	case accepted.Status != string(metav1.ConditionTrue):
		return fails(kind, accepted.Reason, accepted.Message)
	case withheld:
		return fails(kind, reasonWithheld, "nothing of the binding's output may be applied: "+first(wrong, "what closes a workload cannot be said"))
	case kept != "":
		return fails(kind, reasonLastGood, "what was in force before stays: "+first(found, kept))
	case len(refused) > 0:
		return fails(kind, reasonRefused, refused[0].Message)
	case len(errorsOf(own)) > 0:
		return holds(kind, reasonPartial, errorsOf(own)[0].Message)
	}
	return holds(kind, reasonTranslated, "")
}

// whyKept is why the last good is in force: for what is found at the subject, or for the
// sake of others; empty where it is not.
func whyKept(own bool, others string) string {
	if own {
		return cmp.Or(others, "it cannot be said")
	}
	return others
}

// programmed says whether what was made of an object is in force.
func (s subject) programmed(b service, translated condition, artifacts []translators.Artifact) condition {
	const kind = v1alpha1.ConditionProgrammed
	if len(artifacts) == 0 {
		if translated.Status != string(metav1.ConditionTrue) {
			return fails(kind, translated.Reason, translated.Message)
		}
		return unknown(reasonNoArtifacts, "nothing is made of it alone")
	}
	c := s.programming(b, artifacts)
	if c.Status == string(metav1.ConditionTrue) && translated.Status != string(metav1.ConditionTrue) {
		return fails(kind, translated.Reason, translated.Message) // what is in force is not what is asked for
	}
	return c
}

// unwritten are the findings about what was made and cannot be written as it is, however
// often it is tried, or is refused by those that it is for.
func (s subject) unwritten(translated, programmed condition, artifacts []translators.Artifact) report.Report {
	if len(artifacts) == 0 || translated.Status != string(metav1.ConditionTrue) {
		return nil
	}
	switch programmed.Reason {
	case reasonForeign, reasonClaimed:
		return report.Report{report.New(report.Taken, s.ref, programmed.Message)}
	case reasonRefused, reasonRejected:
		return report.Report{report.New(report.MeshRefuses, s.ref, programmed.Message)}
	}
	return nil
}

// lossFree says whether a back end keeps all of an object, exactly or elsewhere.
func lossFree(found report.Report) condition {
	worst, n := report.Exact, 0
	message := ""
	for _, f := range found {
		if !f.Class.Worse(report.Relocated) {
			continue
		}
		if n++; f.Class.Worse(worst) {
			worst, message = f.Class, f.Message
		}
	}
	if n == 0 {
		return holds(v1alpha1.ConditionLossFree, reasonLossFree, "")
	}
	if n > 1 {
		message = fmt.Sprintf("%s (and %d more)", message, n-1)
	}
	return fails(v1alpha1.ConditionLossFree, strings.ToUpper(string(worst[:1]))+string(worst[1:]), message)
}

func errorsOf(found report.Report) report.Report {
	return slices.DeleteFunc(slices.Clone(found), func(f report.Finding) bool { return f.Severity != report.Error })
}

func firstOf(found report.Report, codes []report.Code) (report.Finding, bool) {
	i := slices.IndexFunc(found, func(f report.Finding) bool { return slices.Contains(codes, f.Code) })
	if i < 0 {
		return report.Finding{}, false
	}
	return found[i], true
}

// first is the message of the first error.
func first(found report.Report, otherwise string) string {
	if e := errorsOf(found); len(e) > 0 {
		return e[0].Message
	}
	return otherwise
}

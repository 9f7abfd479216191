package controller

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/translators/report"
)

const (
	controllerName = "meshknot.io/controller"
	fieldManager   = "meshknot-controller"
	labelManaged   = "app.kubernetes.io/managed-by"
	managedBy      = "meshknot"
	// maxEvents are those of one change of an object; its report has the rest.
	maxEvents = 16
)

func typesUID(uid string) types.UID { return types.UID(uid) }

// eventOf makes the event of a finding. It is named by what it says, so that it is
// there once, whoever writes it how often.
func eventOf(s v1alpha1.TranslationReportStatus, namespace string, f v1alpha1.Finding, backend, instance string, at metav1.MicroTime) *eventsv1.Event {
	note := f.Message
	if f.Field != "" {
		note = f.Field + ": " + note
	}
	if backend != "" {
		note = "[" + backend + "] " + note
	}
	if f.Hint != "" {
		note += " (" + f.Hint + ")"
	}
	kind := corev1.EventTypeWarning
	sum := digestOf([]string{s.Source.UID, f.Code, f.Field, backend, f.Message})
	e := &eventsv1.Event{
		EventTime: at, ReportingController: controllerName, ReportingInstance: cut(instance, 128),
		Action: "Translate", Reason: f.Code, Type: kind, Note: cut(note, 1024),
		Regarding: corev1.ObjectReference{APIVersion: s.Source.APIVersion, Kind: s.Source.Kind, Namespace: namespace, Name: s.Source.Name, UID: types.UID(s.Source.UID)},
	}
	e.SetGroupVersionKind(eventsv1.SchemeGroupVersion.WithKind("Event"))
	e.Namespace, e.Name = namespace, fmt.Sprintf("%s.%s", s.Source.Name[:min(len(s.Source.Name), 200)], hex.EncodeToString(sum[:8]))
	return e
}

// said is what tells two findings apart, for events.
type said struct{ backend, code, field, message string }

// loud are the findings of a report that are worth an event.
func loud(s v1alpha1.TranslationReportStatus) map[said]v1alpha1.Finding {
	out := map[said]v1alpha1.Finding{}
	note := func(backend string, found []v1alpha1.Finding) {
		for _, f := range found {
			if report.Severity(f.Severity).AtLeast(report.Warning) && f.Waived == "" {
				out[said{backend, f.Code, f.Field, f.Message}] = f
			}
		}
	}
	note("", s.Findings)
	for _, b := range s.Backends {
		note(b.Backend, b.Findings)
	}
	return out
}

// announce writes an event for each finding that was not there before.
func announce(ctx context.Context, client dynamic.Interface, namespace, instance string, was, now v1alpha1.TranslationReportStatus) error {
	before := loud(was)
	after := loud(now)
	var fresh []said
	for k := range after {
		if _, known := before[k]; !known || was.Source.UID != now.Source.UID {
			fresh = append(fresh, k)
		}
	}
	slices.SortFunc(fresh, said.compare)
	for _, k := range fresh[:min(len(fresh), maxEvents)] {
		u, err := plain(eventOf(now, namespace, after[k], k.backend, instance, metav1.NowMicro()))
		if err != nil {
			return err
		}
		_, err = client.Resource(eventsv1.SchemeGroupVersion.WithResource("events")).Namespace(namespace).Create(ctx, u, metav1.CreateOptions{FieldManager: fieldManager})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

func (s said) compare(o said) int {
	return slices.Compare([]string{s.backend, s.code, s.field, s.message}, []string{o.backend, o.code, o.field, o.message})
}

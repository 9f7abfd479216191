package controller

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/translators/input"
)

// topicReport is the report on an object.
func topicReport(id input.ID) topic {
	return topic{"report", v1alpha1.Group, v1alpha1.KindTranslationReport, id.Namespace, v1alpha1.ReportName(id.Group, id.Kind, id.Name)}
}

// timeless is a status without the times of its conditions: what tells whether
// there is anything to write.
func timeless(s v1alpha1.TranslationReportStatus) v1alpha1.TranslationReportStatus {
	out := *s.DeepCopy()
	for i := range out.Backends {
		for j := range out.Backends[i].Conditions {
			out.Backends[i].Conditions[j].LastTransitionTime = metav1.Time{}
		}
	}
	return out
}

// reportClient writes reports, and events about what is new in them.
type reportClient struct {
	client   dynamic.Interface
	instance string
}

func (c reportClient) of(namespace string) dynamic.ResourceInterface {
	return c.client.Resource(v1alpha1.GroupVersion().WithResource(v1alpha1.ResourceTranslationReports)).Namespace(namespace)
}

// put makes a report say something: one write, and with events one more for each
// finding that is new and loud. exists is what is believed; either may turn out.
func (c reportClient) put(ctx context.Context, t topic, status v1alpha1.TranslationReportStatus, exists, events bool) (string, error) {
	if !exists {
		version, err := c.create(ctx, t, status, events)
		if !apierrors.IsAlreadyExists(err) {
			return version, err
		}
	}
	old, err := c.of(t.namespace).Get(ctx, t.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return c.create(ctx, t, status, events)
	}
	if err != nil {
		return "", err
	}
	var was v1alpha1.TranslationReport
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(old.Object, &was); err != nil {
		was = v1alpha1.TranslationReport{} // somebody wrote nonsense into it: it is written anew
	}
	if was.Labels[labelManaged] != managedBy || digestOf(timeless(was.Status)) != digestOf(timeless(status)) {
		if events {
			if err := announce(ctx, c.client, t.namespace, c.instance, was.Status, status); err != nil {
				return "", err
			}
		}
		now := reportOf(t, status)
		carry(was.Status, &now.Status, metav1.Now())
		now.ResourceVersion, now.UID = old.GetResourceVersion(), old.GetUID()
		u, err := plain(now)
		if err != nil {
			return "", err
		}
		if old, err = c.of(t.namespace).Update(ctx, u, metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
			return "", err
		}
	}
	return old.GetResourceVersion(), nil
}

func (c reportClient) create(ctx context.Context, t topic, status v1alpha1.TranslationReportStatus, events bool) (string, error) {
	if events {
		if err := announce(ctx, c.client, t.namespace, c.instance, v1alpha1.TranslationReportStatus{}, status); err != nil {
			return "", err
		}
	}
	now := reportOf(t, status)
	carry(v1alpha1.TranslationReportStatus{}, &now.Status, metav1.Now())
	u, err := plain(now)
	if err != nil {
		return "", err
	}
	made, err := c.of(t.namespace).Create(ctx, u, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil {
		return "", err
	}
	return made.GetResourceVersion(), nil
}

// remove deletes a report that is ours.
func (c reportClient) remove(ctx context.Context, t topic) (string, error) {
	err := c.of(t.namespace).Delete(ctx, t.name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		err = nil
	}
	return "", err
}

// reportOf makes a report, owned by the object that it is about.
func reportOf(t topic, status v1alpha1.TranslationReportStatus) *v1alpha1.TranslationReport {
	r := &v1alpha1.TranslationReport{Status: *status.DeepCopy()}
	r.SetGroupVersionKind(v1alpha1.GroupVersion().WithKind(v1alpha1.KindTranslationReport))
	r.Namespace, r.Name = t.namespace, t.name
	r.Labels = map[string]string{labelManaged: managedBy}
	if s := status.Source; s.UID != "" {
		r.OwnerReferences = []metav1.OwnerReference{{APIVersion: s.APIVersion, Kind: s.Kind, Name: s.Name, UID: typesUID(s.UID)}}
	}
	return r
}

// carry gives conditions the times at which they came to hold: the former one where
// the status is the same.
func carry(was v1alpha1.TranslationReportStatus, now *v1alpha1.TranslationReportStatus, at metav1.Time) {
	before := map[string]metav1.Condition{}
	for _, b := range was.Backends {
		for _, c := range b.Conditions {
			before[b.Binding+"/"+b.Backend+"/"+c.Type] = c
		}
	}
	for i, b := range now.Backends {
		for j, c := range b.Conditions {
			when := at
			if old, ok := before[b.Binding+"/"+b.Backend+"/"+c.Type]; ok && old.Status == c.Status && !old.LastTransitionTime.IsZero() {
				when = old.LastTransitionTime
			}
			now.Backends[i].Conditions[j].LastTransitionTime = when
		}
	}
}

// plain turns an object of ours into what the dynamic client takes.
func plain(o any) (*unstructured.Unstructured, error) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return &unstructured.Unstructured{Object: m}, nil
}

// readReport reads a report as the feed hands it out.
func readReport(text []byte) (v1alpha1.TranslationReport, error) {
	var r v1alpha1.TranslationReport
	err := json.Unmarshal(text, &r)
	return r, err
}

package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/meshknot/meshknot/crds/v1alpha1"
)

// finalizer keeps a MeshBinding until what it wrote to Consul is deleted, which no
// garbage collector of the cluster does.
const finalizer = "meshknot.io/consul"

var bindingsResource = v1alpha1.GroupVersion().WithResource(v1alpha1.ResourceMeshBindings)

func topicBinding(name string) topic {
	return topic{"status", v1alpha1.Group, v1alpha1.KindMeshBinding, "", name}
}

func topicFinalizer(name string) topic {
	return topic{"finalizer", v1alpha1.Group, v1alpha1.KindMeshBinding, "", name}
}

// bindingSubject is a binding that there is something to be said of.
type bindingSubject struct {
	generation int64
	invalid    string // why it cannot be used
	conflict   string // why an older one has its namespaces
	namespaces int
	paused     bool
	withheld   bool
	noSink     string // what is missing to write its output
	objects    int    // that are wanted
	served     bool   // by xDS
	tally      tally  // of a sink
	proxies    condition
}

// status makes the status of a binding.
func (s bindingSubject) status() v1alpha1.MeshBindingStatus {
	out := v1alpha1.MeshBindingStatus{ObservedGeneration: s.generation, Namespaces: int32(s.namespaces), Objects: int32(s.objects)}
	for _, c := range []condition{s.accepted(), s.programmed()} {
		out.Conditions = append(out.Conditions, metav1.Condition{Type: c.Type, Status: metav1.ConditionStatus(c.Status), Reason: c.Reason,
			Message: cut(c.Message, 32768), ObservedGeneration: s.generation})
	}
	return out
}

func (s bindingSubject) accepted() condition {
	const kind = v1alpha1.ConditionAccepted
	switch {
	case s.invalid != "":
		return fails(kind, reasonInvalid, s.invalid)
	case s.conflict != "":
		return fails(kind, reasonConflicted, s.conflict)
	}
	return holds(kind, reasonAccepted, "")
}

func (s bindingSubject) programmed() condition {
	const kind = v1alpha1.ConditionProgrammed
	switch {
	case s.invalid != "":
		return fails(kind, reasonInvalidBound, s.invalid)
	case s.paused:
		return unknown(reasonPaused, "the binding is paused: what is in force stays")
	case s.withheld:
		return fails(kind, reasonWithheld, "what closes a workload cannot be said, so nothing is written; the reports say which")
	case s.noSink != "":
		return fails(kind, reasonNoSink, s.noSink)
	case s.served:
		return s.proxies
	case s.tally.open == 0:
		return holds(kind, reasonProgrammed, "everything is written")
	}
	c := outcomeCondition(s.tally.worst)
	c.Message = fmt.Sprintf("%d of %d are not written: %s %s: %s", s.tally.open, s.tally.wanted, s.tally.at.Type, s.tally.at.Name, c.Message)
	switch s.tally.worst.State {
	case Pending:
		c.Message = "not everything is written yet"
	case Rejected:
		c.Message = fmt.Sprintf("%d of %d are not in force: %s", s.tally.open, s.tally.wanted, s.tally.worst.Message)
	}
	return c
}

// outcomeCondition is what an outcome makes of Programmed.
func outcomeCondition(o Outcome) condition {
	const kind = v1alpha1.ConditionProgrammed
	switch o.State {
	case Written:
		return holds(kind, reasonProgrammed, "everything that is made of it is written, and no mesh is known to refuse it")
	case Refused:
		return fails(kind, reasonRefused, o.Message)
	case Rejected:
		return fails(kind, reasonRejected, o.Message)
	case Foreign:
		return fails(kind, reasonForeign, o.Message)
	case Claimed:
		return fails(kind, reasonClaimed, o.Message)
	case Missing:
		return fails(kind, reasonNotServed, o.Message)
	case Failed:
		return unknown(reasonRetrying, o.Message)
	}
	return unknown(reasonPending, "it is not written yet")
}

// bindingDigest stands for a status of a binding, times left out.
func bindingDigest(s v1alpha1.MeshBindingStatus) digest {
	s = *s.DeepCopy()
	for i := range s.Conditions {
		s.Conditions[i].LastTransitionTime = metav1.Time{}
	}
	return digestOf(s)
}

// setBinding writes the status of a binding.
func setBinding(o *unstructured.Unstructured, want v1alpha1.MeshBindingStatus) bool {
	var was v1alpha1.MeshBinding
	if text, err := o.MarshalJSON(); err == nil {
		_ = json.Unmarshal(text, &was) // what cannot be read is written anew
	}
	if bindingDigest(was.Status) == bindingDigest(want) {
		return false
	}
	now := *want.DeepCopy()
	for i, c := range now.Conditions {
		now.Conditions[i].LastTransitionTime = metav1.NewTime(time.Now())
		j := slices.IndexFunc(was.Status.Conditions, func(old metav1.Condition) bool { return old.Type == c.Type && old.Status == c.Status })
		if j >= 0 {
			now.Conditions[i].LastTransitionTime = was.Status.Conditions[j].LastTransitionTime
		}
	}
	o.Object["status"] = jsonOf(now)
	return true
}

// finalize puts our finalizer onto a binding, or takes it off.
func finalize(ctx context.Context, client dynamic.Interface, name string, on bool) (string, error) {
	r := client.Resource(bindingsResource)
	o, err := r.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return gone(err)
	}
	list := o.GetFinalizers()
	if slices.Contains(list, finalizer) == on || on && o.GetDeletionTimestamp() != nil {
		return o.GetResourceVersion(), nil
	}
	if list = slices.DeleteFunc(list, func(f string) bool { return f == finalizer }); on {
		list = append(list, finalizer)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": list, "resourceVersion": o.GetResourceVersion()}})
	if err != nil {
		return "", err
	}
	o, err = r.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return gone(err)
	}
	return o.GetResourceVersion(), nil
}

// gone makes no error of an object that is not there any more.
func gone(err error) (string, error) {
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	return "", err
}

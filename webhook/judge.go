package webhook

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// verdict is what is said to a request: what denies it, and of what it warns.
type verdict struct {
	exempt bool
	denies report.Report
	warns  report.Report
}

func (v verdict) name() string {
	switch {
	case v.exempt:
		return "exempt"
	case len(v.denies) > 0:
		return "denied"
	case len(v.warns) > 0:
		return "warned"
	}
	return "allowed"
}

// add takes findings down: errors deny, warnings warn.
func (v *verdict) add(found report.Report) {
	for _, f := range found {
		switch f.Severity {
		case report.Error:
			v.denies = append(v.denies, f)
		case report.Warning:
			v.warns = append(v.warns, f)
		}
	}
}

// kubeSystem is never blocked, and neither is what its accounts delete: they clear
// namespaces that end, and what has lost its owner.
const kubeSystem = "kube-system"

// exempt reports whether a request is none of the webhook's business, whatever an
// administrator has registered it for: refusing it might lock the cluster.
func (h *Handler) exempt(q *admissionv1.AdmissionRequest) bool {
	switch {
	case q.SubResource != "", q.Kind.Group == "coordination.k8s.io", q.Namespace == kubeSystem:
		return true
	case h.o.Account != "" && q.UserInfo.Username == h.o.Account:
		return true
	case q.Operation == admissionv1.Delete && slices.Contains(q.UserInfo.Groups, "system:serviceaccounts:"+kubeSystem):
		return true
	case q.Operation != admissionv1.Create && q.Operation != admissionv1.Update && q.Operation != admissionv1.Delete:
		return true
	}
	return h.o.Namespace != "" && (q.Namespace == h.o.Namespace || q.Kind.Kind == "Namespace" && q.Name == h.o.Namespace) &&
		q.Kind.Kind != "ConfigMap"
}

// judge decides about a request.
func (h *Handler) judge(ctx context.Context, q *admissionv1.AdmissionRequest) (verdict, error) {
	if h.exempt(q) || ending(q.Object.Raw) {
		return verdict{exempt: true}, nil
	}
	if q.Kind.Group == v1alpha1.Group {
		return h.ours(ctx, q)
	}
	if q.Kind.Group == "" && q.Kind.Kind == "ConfigMap" {
		return h.configMap(q)
	}
	if !h.kinds[kindName{q.Kind.Group, q.Kind.Kind}] {
		return verdict{exempt: true}, nil
	}
	return h.object(ctx, q)
}

// ending reports whether an object is being deleted: only its finalizers change.
func ending(raw []byte) bool {
	var o struct {
		Metadata struct{ DeletionTimestamp *string }
	}
	return bytes.Contains(raw, []byte("deletionTimestamp")) && json.Unmarshal(raw, &o) == nil && o.Metadata.DeletionTimestamp != nil
}

// object judges an object of a kind that units are made of.
func (h *Handler) object(ctx context.Context, q *admissionv1.AdmissionRequest) (verdict, error) {
	id := input.ID{Group: q.Kind.Group, Kind: q.Kind.Kind, Namespace: q.Namespace, Name: q.Name}
	edit := input.Edit{ID: id}
	var v verdict
	raw := q.Object.Raw
	if q.Operation != admissionv1.Delete {
		var found report.Report
		var o input.Object
		if raw, o, found = h.decode(q); o.ID.Name != "" {
			edit.ID, edit.Objects = o.ID, []input.Object{o}
		}
		var before report.Report // what decoding found in the object until now
		if q.Operation == admissionv1.Update && slices.ContainsFunc(found, isError) {
			_, before = h.read(q.OldObject.Raw)
		}
		v.add(ratchet(found, before))
	}
	preview, ready := h.world.Preview(ctx, []input.Edit{edit})
	if !ready {
		return verdict{}, failed("not everything is known yet: the caches are not in step")
	}
	if ctx.Err() != nil {
		return verdict{}, failed("no verdict in time: %v", ctx.Err())
	}
	v.add(h.changes(edit.ID.Ref(""), preview))
	if q.Operation != admissionv1.Delete && h.rules != nil {
		found, err := h.review(ctx, edit.ID, raw, q.OldObject.Raw)
		if err != nil {
			return verdict{}, err
		}
		v.add(found)
	}
	return v.settled(q), nil
}

// decode reads the object of a request. One without a name gets that which the
// server will give it, as far as it is known, so that it can be told from others.
func (h *Handler) decode(q *admissionv1.AdmissionRequest) ([]byte, input.Object, report.Report) {
	raw := q.Object.Raw
	o, found := h.read(raw)
	if o.ID.Name != "" || q.Operation != admissionv1.Create {
		return raw, o, found
	}
	var value map[string]any
	if json.Unmarshal(raw, &value) != nil {
		return raw, o, found
	}
	meta, _ := value["metadata"].(map[string]any)
	generate, _ := meta["generateName"].(string)
	if generate == "" {
		return raw, o, found
	}
	meta["name"] = generate + "xxxxx"
	if named, err := json.Marshal(value); err == nil {
		o, found = h.read(named)
		return named, o, found
	}
	return raw, o, found
}

// review asks the rules. A rule that could not be evaluated gives no verdict: the
// failurePolicy decides.
func (h *Handler) review(ctx context.Context, id input.ID, raw, old []byte) (report.Report, error) {
	o := policies.Object{Ref: id.Ref("")}
	if err := json.Unmarshal(raw, &o.Value); err != nil {
		return nil, nil // decoding has said so
	}
	policies.Trim(o.Value)
	if len(old) > 0 && json.Unmarshal(old, &o.Previous) == nil {
		policies.Trim(o.Previous)
	}
	found := h.rules.Review(ctx, o)
	for _, f := range found {
		if f.Code == report.PolicyTimeout || f.Code == report.PolicyBroken {
			return nil, failed("%s: %s", f.Code, f.Message)
		}
	}
	return found, nil
}

// settled is the verdict once it is known what was asked for: what changes metadata
// alone is not denied for what the object says, and everything is said once.
func (v verdict) settled(q *admissionv1.AdmissionRequest) verdict {
	if len(v.denies) > 0 && q.Operation == admissionv1.Update && sameContent(q.Object.Raw, q.OldObject.Raw) {
		v.warns = append(v.warns, v.denies...)
		v.denies = nil
	}
	if len(v.denies) > 0 { // then what is in force stays anyhow
		v.warns = slices.DeleteFunc(v.warns, func(f report.Finding) bool { return f.Code == report.Kept })
	}
	v.denies, v.warns = v.denies.Sorted(), v.warns.Sorted()
	return v
}

// sameContent reports whether two objects differ at most in what no policy is
// made of. Annotations of ours may be policy.
func sameContent(a, b []byte) bool {
	var x, y map[string]any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	for _, o := range []map[string]any{x, y} {
		meta, _ := o["metadata"].(map[string]any)
		annotations, _ := meta["annotations"].(map[string]any)
		kept := map[string]any{}
		for key, value := range annotations {
			if strings.HasPrefix(key, "meshknot.io/") {
				kept[key] = value
			}
		}
		o["metadata"] = map[string]any{"annotations": kept}
		delete(o, "status")
	}
	return reflect.DeepEqual(x, y)
}

func isError(f report.Finding) bool { return f.Severity == report.Error }

// ratchet makes warnings of errors that were there before.
func ratchet(found, before report.Report) report.Report {
	out := slices.Clone(found)
	for i, f := range out {
		if f.Severity == report.Error && slices.ContainsFunc(before, func(o report.Finding) bool { return sameFault(f, o) }) {
			out[i].Severity = report.Warning
			out[i].Message = "as before, " + f.Message
		}
	}
	return out
}

// sameFault reports whether two findings say the same of the same place.
func sameFault(a, b report.Finding) bool {
	return cmp.Or(a.Source.Compare(b.Source), strings.Compare(string(a.Code), string(b.Code)),
		strings.Compare(a.Backend, b.Backend), strings.Compare(a.Message, b.Message), strings.Compare(string(a.Class), string(b.Class))) == 0
}

package controller

import (
	"encoding/json"
	"strings"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// source is an object that is reported on: a policy of SMI or of Gateway API.
type source struct {
	id       input.ID
	meta     feed.Meta
	found    report.Report
	rejected bool
	// used is what the engine was told of it.
	used input.Object
	// class, controller and parent are of objects of Gateway API: the class of a
	// Gateway, the controller of a class, the Gateway of a ListenerSet.
	class, controller string
	parent            ir.Name
	// since is the turn of the loop in which it came to be as it is.
	since uint64
	// losses are those that are counted.
	losses []telemetry.Loss
}

func (s *source) ref() report.Ref { return s.id.Ref("") }

// idOf is the object that a reference is in.
func idOf(r report.Ref) input.ID {
	return input.ID{Group: r.Group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}
}

// isSMI and isGateway tell apart what is reported on.
func isSMI(group string) bool     { return strings.HasSuffix(group, ".smi-spec.io") }
func isGateway(group string) bool { return group == gatewayGroup }

// reported reports whether objects of a kind are reported on.
func reported(id input.ID) bool {
	return isSMI(id.Group) || isGateway(id.Group) && id.Kind != "ReferenceGrant"
}

// object is what is read of an object's JSON beside what is decoded.
type object struct {
	Spec struct {
		GatewayClassName string `json:"gatewayClassName"`
		ControllerName   string `json:"controllerName"`
		ParentRef        struct {
			Namespace *string `json:"namespace"`
			Name      string  `json:"name"`
		} `json:"parentRef"`
	} `json:"spec"`
	Status json.RawMessage `json:"status"`
}

// sourceOf makes a source of a change, and the status that the object has.
func sourceOf(c feed.Change) (*source, json.RawMessage) {
	s := &source{id: c.ID, meta: c.Meta, found: c.Findings}
	if c.Object != nil {
		s.rejected = c.Object.Rejected
	}
	var o object
	if len(c.JSON) == 0 || json.Unmarshal(c.JSON, &o) != nil {
		return s, nil
	}
	s.class, s.controller = o.Spec.GatewayClassName, o.Spec.ControllerName
	s.parent = ir.Name{Namespace: c.ID.Namespace, Name: o.Spec.ParentRef.Name}
	if o.Spec.ParentRef.Namespace != nil {
		s.parent.Namespace = *o.Spec.ParentRef.Namespace
	}
	return s, o.Status
}

// bound is a MeshBinding as it is known.
type bound struct {
	binding.Binding
	owner      sink.Owner
	generation int64
	// invalid is why it cannot be used; then the rest of Binding is empty.
	invalid string
	// leaving: it is being deleted, and is there only until nothing is left of it.
	leaving, finalized bool
	// said is what its status says of whether it is in force.
	said stated
}

// stated is a condition and the generation of which it was said.
type stated struct {
	condition
	generation int64
}

// boundOf reads a MeshBinding.
func (l *loop) boundOf(c feed.Change) (*bound, v1alpha1.MeshBinding) {
	var b v1alpha1.MeshBinding
	out := &bound{owner: sink.Owner{Binding: c.ID.Name, UID: c.Meta.UID}, generation: c.Meta.Generation}
	if err := json.Unmarshal(c.JSON, &b); err != nil {
		out.invalid = "it cannot be read: " + err.Error()
		return out, b
	}
	out.leaving = b.DeletionTimestamp != nil
	for _, f := range b.Finalizers {
		out.finalized = out.finalized || f == finalizer
	}
	decoded, err := binding.Decode(b, l.pipeline)
	if err != nil {
		out.invalid = err.Error()
		return out, b
	}
	out.Binding = decoded
	return out, b
}

// watched are the kinds that the controller follows: of objects whose status it
// writes it wants to see that, and of all objects their JSON where somebody else does.
func watched(schemas []input.Schema, whole bool) []feed.Kind {
	kinds := feed.Kinds(schemas)
	for i, k := range kinds {
		if reported(input.ID{Group: k.Group, Kind: k.Kind}) {
			kinds[i].KeepJSON, kinds[i].KeepStatus = true, true
		}
		kinds[i].KeepJSON = kinds[i].KeepJSON || whole
	}
	return kinds
}

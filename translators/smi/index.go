package smi

import (
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Frontend returns the front end for the Service Mesh Interface.
func Frontend() translators.Frontend { return frontend{} }

type frontend struct{}

// Name implements translators.Frontend.
func (frontend) Name() string { return "smi" }

// Schemas implements translators.Frontend.
func (frontend) Schemas() []input.Schema { return Schemas() }

// Keys implements translators.Frontend. Routes make no units: who refers to them does.
func (frontend) Keys(o input.Object, r input.Reader) []ir.Key {
	var keys []ir.Key
	switch v := o.Value.(type) {
	case *Split:
		root, _ := rootOf(o, v)
		keys = append(keys, ir.Key{Kind: ir.KindService, Namespace: root.Namespace, Name: root.Name})
		for _, b := range backendNames(o, v) {
			keys = append(keys, ir.Key{Kind: ir.KindService, Namespace: b.Namespace, Name: b.Name})
		}
	case *Target:
		d := v.Destination
		keys = append(keys, ir.Key{Kind: ir.KindWorkload, Namespace: d.Namespace, Name: d.Name})
		if b, _ := bindingOf(r, d); b != nil && b.Account != "" {
			keys = append(keys, ir.Key{Kind: ir.KindWorkload, Namespace: d.Namespace, Name: b.Account})
		}
		if r.Settings(d.Namespace).Access == string(ir.AccessStrict) {
			keys = append(keys, ir.Key{Kind: ir.KindNamespace, Name: d.Namespace})
		}
	}
	return keys
}

// Lower implements translators.Frontend.
func (frontend) Lower(r input.Reader, u *ir.Unit) report.Report {
	switch {
	case u.Service != nil:
		return lowerService(r, u.Service)
	case u.Workload != nil:
		return lowerWorkload(r, u.Workload)
	}
	return nil
}

// splitsByRoot finds TrafficSplits by the Service that they split.
var splitsByRoot = input.Index{Name: "smi/splits-by-root", Keys: func(o input.Object) []string {
	s, ok := o.Value.(*Split)
	if !ok {
		return nil
	}
	root, _ := rootOf(o, s)
	return []string{root.String()}
}}

// splitsByBackend finds TrafficSplits by the Services that they send to.
var splitsByBackend = input.Index{Name: "smi/splits-by-backend", Keys: func(o input.Object) []string {
	s, ok := o.Value.(*Split)
	if !ok {
		return nil
	}
	var keys []string
	for _, b := range backendNames(o, s) {
		keys = append(keys, b.String())
	}
	return keys
}}

// backendNames returns the names of a split's backends that can be read.
func backendNames(o input.Object, s *Split) []ir.Name {
	var out []ir.Name
	for _, b := range s.Backends {
		if name, found := localName(o, b.Service, b.Field); found == nil || found.Severity != report.Error {
			out = append(out, name)
		}
	}
	return out
}

// targetsByDestination finds TrafficTargets by the kind, namespace and name of
// their destination.
var targetsByDestination = input.Index{Name: "smi/targets-by-destination", Keys: func(o input.Object) []string {
	if t, ok := o.Value.(*Target); ok {
		return []string{destinationKey(t.Destination.Kind, t.Destination.Namespace, t.Destination.Name)}
	}
	return nil
}}

// destinationKey treats what is no IdentityBinding as an account: a kind in
// error must not leave the account open that is meant.
func destinationKey(kind, namespace, name string) string {
	if kind != KindIdentityBinding {
		kind = kindServiceAccount
	}
	return strings.Join([]string{kind, namespace, name}, " ")
}

// bindingsByAccount finds IdentityBindings by the account that they name.
var bindingsByAccount = input.Index{Name: "smi/bindings-by-account", Keys: func(o input.Object) []string {
	if b, ok := o.Value.(*Binding); ok && b.Account != "" {
		return []string{o.Namespace + " " + b.Account}
	}
	return nil
}}

// targetsOf returns the TrafficTargets whose destination is an account, by its
// name or by a binding, rejected ones included: those still close it.
func targetsOf(r input.Reader, id ir.Identity) []input.Object {
	out := r.Lookup(targetsByDestination, destinationKey(kindServiceAccount, id.Namespace, id.Account))
	for _, b := range r.Lookup(bindingsByAccount, id.Namespace+" "+id.Account) {
		out = append(out, r.Lookup(targetsByDestination, destinationKey(KindIdentityBinding, b.Namespace, b.ID.Name))...)
	}
	return out
}

// bindingOf returns the IdentityBinding that an account stands for, or nil where
// it stands for none, and whether it is without error.
func bindingOf(r input.Reader, a Account) (b *Binding, good bool) {
	if a.Kind != KindIdentityBinding {
		return nil, false
	}
	o, _ := r.Get(input.ID{Group: GroupAccess, Kind: KindIdentityBinding, Namespace: a.Namespace, Name: a.Name})
	b, good = o.Value.(*Binding)
	return b, good && !o.Rejected
}

// dialect is how the parts of SMI that its text leaves open are read.
type dialect string

// The dialects.
const (
	dialectSpec    dialect = "spec"
	dialectOSM     dialect = "osm"
	dialectTraefik dialect = "traefik"
)

// dialectAnnotation on an object says how it is to be read.
const dialectAnnotation = "meshknot.io/smi-dialect"

// dialectOf returns the dialect of an object, and whether it says so itself. An
// annotation that cannot be understood is a finding.
func dialectOf(r input.Reader, o input.Object) (d dialect, own bool, found report.Report) {
	written, own := o.Annotations[dialectAnnotation]
	if !own {
		written = r.Settings(o.Namespace).Dialect
	}
	switch d := dialect(written); d {
	case dialectSpec, dialectOSM, dialectTraefik:
		return d, own, nil
	}
	if !own {
		return dialectSpec, false, nil
	}
	f := report.New(report.BadAnnotation, o.Ref(input.Field("metadata.annotations", dialectAnnotation)),
		"there is no dialect "+quote(written)+"; there are spec, osm and traefik")
	return dialectSpec, true, report.Report{f}
}

// anchor returns where a pathRegex is tied to the path.
func (d dialect) anchor() ir.Anchor {
	if d == dialectOSM {
		return ir.AnchorWhole
	}
	return ir.AnchorStart
}

// podPorts reports whether the ports of a TCPRoute are those of the pods.
func (d dialect) podPorts() bool { return d != dialectSpec }

// omittedMatchesAllow reports whether a rule without matches means all of them.
func (d dialect) omittedMatchesAllow() bool { return d != dialectOSM }

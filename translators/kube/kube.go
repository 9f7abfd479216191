// Package kube reads the Kubernetes objects that policies speak of: Services,
// accounts, whatever runs pods, and endpoints. It is the front end for context:
// it says who is there and how they are reached, never who may call whom.
//
// Of each object only what matters is kept, so that replicas, images, status,
// addresses of pods and revisions change no unit.
package kube

import (
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Frontend returns the front end for Kubernetes' own objects.
func Frontend() translators.Frontend { return frontend{} }

type frontend struct{}

// Name implements translators.Frontend.
func (frontend) Name() string { return "kube" }

// Schemas implements translators.Frontend.
func (frontend) Schemas() []input.Schema { return Schemas() }

// Keys implements translators.Frontend. A namespace that denies by default does
// so whatever is known of it, so any object in it makes its unit.
func (frontend) Keys(o input.Object, r input.Reader) []ir.Key {
	var keys []ir.Key
	if ns := o.Namespace; ns != "" && strict(r, ns) {
		keys = append(keys, ir.Key{Kind: ir.KindNamespace, Name: ns})
	}
	switch v := o.Value.(type) {
	case *Namespace:
		keys = append(keys, ir.Key{Kind: ir.KindNamespace, Name: o.Name})
	case *Service:
		keys = append(keys, ir.Key{Kind: ir.KindService, Namespace: o.Namespace, Name: o.Name},
			ir.Key{Kind: ir.KindEndpoints, Namespace: o.Namespace, Name: o.Name})
		for _, p := range stated(r, o.Namespace) {
			keys = append(keys, workloadKey(o.Namespace, p.Account))
		}
	case *Account:
		keys = append(keys, workloadKey(o.Namespace, o.Name))
	case *Pods:
		keys = append(keys, workloadKey(o.Namespace, v.Account))
	case *Slices:
		keys = append(keys, ir.Key{Kind: ir.KindEndpoints, Namespace: o.Namespace, Name: v.Service})
	}
	return keys
}

// Lower implements translators.Frontend.
func (frontend) Lower(r input.Reader, u *ir.Unit) report.Report {
	switch {
	case u.Namespace != nil:
		u.Namespace.Enforced = strict(r, u.Namespace.Name)
	case u.Service != nil:
		return lowerService(r, u.Service)
	case u.Workload != nil:
		lowerWorkload(r, u.Workload)
	case u.Endpoints != nil:
		lowerEndpoints(r, u.Endpoints)
	}
	return nil
}

func strict(r input.Reader, namespace string) bool {
	return r.Settings(namespace).Access == string(ir.AccessStrict)
}

func workloadKey(namespace, account string) ir.Key {
	return ir.Key{Kind: ir.KindWorkload, Namespace: namespace, Name: account}
}

// key joins the parts of an index key; none of them holds a space.
func key(parts ...string) string { return strings.Join(parts, " ") }

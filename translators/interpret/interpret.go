// Package interpret says what the artifacts of a back end make of a mesh. Each
// package below it reads artifacts as one mesh would, by that mesh's own rules,
// and answers what semantics answers on the model. An interpreter is written from
// the mesh's documentation; it shares nothing with the translator that it judges.
package interpret

import (
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// New reads the artifacts of a target as its mesh would. The error says what the
// mesh would refuse to take.
type New func(w World, t translators.Target, artifacts []translators.Artifact) (Mesh, error)

// Mesh decides requests by artifacts. It is safe for concurrent use.
type Mesh interface {
	// Route says where the proxy (or library) of the caller, or of the gateway,
	// sends a request, whatever the server then makes of it: every share is
	// Allowed, unless the caller's side refuses it. A call to a Service that no
	// artifact speaks of goes to the Service itself.
	Route(q semantics.Request) Routed
	// Admit says whether the server lets an arriving request in.
	Admit(a Arrival) Admission
}

// Routed is where a request goes.
type Routed struct {
	// Decision's Verdict is Allow where shares are asked, Answer where the proxy
	// answers by itself, Deny where the caller's side refuses. A share that fails is
	// Invalid, with the Status that the caller hears. Because is not set.
	semantics.Decision
	// By are the artifacts that decide.
	By []translators.ID
}

// Arrival is a request that has reached a pod.
type Arrival struct {
	// Request as it arrives, after rewriting; From is who calls (the gateway's
	// own identity where a gateway does).
	Request semantics.Request
	// Workload is the account of the pod; Pod are its labels, nil where no pod of
	// the account is known.
	Workload ir.Name
	Pod      map[string]string
	// Port is the one on the pod.
	Port int32
	// Called is the port of the Service that led there; zero where the pod was
	// called straight.
	Called ir.ServicePort
}

// Admission says whether a request is let in.
type Admission struct {
	Allowed bool
	// By are the artifacts that decide; none where nothing concerns the pod.
	By []translators.ID
}

// Decide decides a request as Model.Decide does: the caller's side routes it,
// and the servers behind each share let it in or do not.
func Decide(w World, m Mesh, q semantics.Request) (semantics.Decision, []translators.ID) {
	if q.Workload != (ir.Name{}) {
		all, _, by := w.admit(m, q.Workload, q.Port, ir.ServicePort{}, q)
		d := semantics.Decision{Verdict: semantics.Deny}
		if all {
			d.Verdict = semantics.Allow
		}
		return d, by
	}
	r := m.Route(q)
	by := slices.Clone(r.By)
	if len(r.Shares) == 0 {
		return r.Decision, by
	}
	sent := q
	sent.Path, sent.Headers = r.Sent.Path, r.Sent.Headers
	if q.Gateway != (ir.Name{}) {
		sent.From = w.identity(q)
	}
	for i := range r.Shares {
		by = append(by, w.admitShare(m, &r.Shares[i], sent)...)
	}
	for i := range r.Mirrors {
		w.admitShare(m, &r.Mirrors[i], sent)
	}
	r.Verdict = verdict(r.Shares)
	return r.Decision, by
}

func verdict(shares []semantics.Share) semantics.Verdict {
	denied, partly := 0, false
	for _, s := range shares {
		if !s.Allowed {
			denied++
		}
		partly = partly || s.Partly
	}
	switch {
	case denied == 0:
		return semantics.Allow
	case denied == len(shares) && !partly:
		return semantics.Deny
	}
	return semantics.Mixed
}

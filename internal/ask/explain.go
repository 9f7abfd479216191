package ask

import (
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/verify"
)

// Answer is what becomes of a request, and why.
type Answer struct {
	Request  semantics.Request
	Decision semantics.Decision
	Trace    Trace
	// Doubts are what is odd about the request.
	Doubts []string
	// Findings are those of the front ends about the units involved.
	Findings report.Report
	Opinions []Opinion
}

// Opinion is what one back end makes of the request.
type Opinion struct {
	Target translators.Target
	// Silent says why nothing is known; then all but Losses is unset.
	Silent   string
	Decision semantics.Decision
	// Routed are the artifacts that route the request at the caller's side;
	// Admitted those that decide at the servers'.
	Routed, Admitted []translators.ID
	// Differs says how the decision is other than the model's.
	Differs []Differing
	Losses  []Loss
}

// Differing is a difference and what the back end's table says of it.
type Differing struct {
	semantics.Difference
	Causes []Loss
}

// Explain answers a request by the model and by every back end that was named.
// The error is an Unknown.
func (a *Asker) Explain(q semantics.Request) (Answer, error) {
	s := a.Slice(q)
	doubts, err := a.Known(q, s)
	if err != nil {
		return Answer{}, err
	}
	out := Answer{Request: q, Doubts: doubts, Findings: s.Findings, Decision: semantics.New(s.Units).Decide(q)}
	out.Trace = newTracer(s.Units).trace(q, out.Decision)
	world := interpret.WorldOf(s.Units)
	for _, t := range a.targets {
		out.Opinions = append(out.Opinions, opinion(a.Translated(t, s.Units, world), q, out.Decision))
	}
	return out, nil
}

func opinion(m Mesh, q semantics.Request, want semantics.Decision) Opinion {
	o := Opinion{Target: m.Target, Silent: m.Silent(), Losses: m.Losses()}
	if o.Silent != "" {
		return o
	}
	o.Decision, o.Routed, o.Admitted = m.Decide(q)
	for _, d := range semantics.Differences(q, want, o.Decision, verify.Rounding) {
		o.Differs = append(o.Differs, Differing{d, m.Causes(q, d.Effect, nil)})
	}
	return o
}

// Denied are the shares of a decision that are denied, wholly or in part.
func Denied(d semantics.Decision) []semantics.Share {
	return slices.DeleteFunc(slices.Clone(d.Shares), func(s semantics.Share) bool { return s.Allowed })
}

// Deciding lists the places of the model that decide, those that are named
// twice once: first the one that tells most.
func (a Answer) Deciding() []report.Ref {
	out := slices.Clone(a.Decision.Because)
	for _, r := range a.Trace.Rules {
		if !r.IsZero() && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// Callee is the unit that the request is addressed to.
func Callee(q semantics.Request) ir.Key {
	switch {
	case q.Workload != (ir.Name{}):
		return ir.Key{Kind: ir.KindWorkload, Namespace: q.Workload.Namespace, Name: q.Workload.Name}
	case q.Gateway != (ir.Name{}):
		return ir.Key{Kind: ir.KindGateway, Namespace: q.Gateway.Namespace, Name: q.Gateway.Name}
	}
	return ir.Key{Kind: ir.KindService, Namespace: q.Service.Namespace, Name: q.Service.Name}
}

// libraries are the back ends whose artifacts a library in the program reads,
// not a proxy beside it.
var libraries = map[string]bool{"grpc": true}

// CallersSide says where a target routes a request.
func CallersSide(t translators.Target, q semantics.Request) string {
	switch {
	case q.Gateway != (ir.Name{}):
		return "gateway"
	case libraries[t.Backend]:
		return "library"
	}
	return "proxy"
}

// Enforced says whose proxy or library decides, and by which artifacts: the
// server's where somebody guards it, else the caller's, which routes.
func (o Opinion) Enforced(q semantics.Request) (string, []translators.ID) {
	if len(o.Admitted) > 0 {
		return "server's " + ServersSide(o.Target), o.Admitted
	}
	if q.Workload != (ir.Name{}) {
		return "nobody", nil
	}
	if q.Gateway != (ir.Name{}) {
		return "gateway", o.Routed
	}
	return "caller's " + CallersSide(o.Target, q), o.Routed
}

// ServersSide says where a target lets a request in.
func ServersSide(t translators.Target) string {
	if libraries[t.Backend] {
		return "library"
	}
	return "proxy"
}

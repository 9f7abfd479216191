package equivalence

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/verify"
)

// predicted are the rows that explain how the interpreter's decision of a request
// differs from the model's: they are held against each other place by place, as
// verify does, for a call that strays is denied by somebody else. It reports false
// where no row explains some difference.
func (p *play) predicted(q semantics.Request, want, told semantics.Decision) (rows []*feature.Shown, ok bool) {
	if len(semantics.Differences(q, want, told, verify.Rounding)) == 0 {
		return nil, true
	}
	heard := slices.ContainsFunc(told.Shares, func(s semantics.Share) bool { return s.Allowed || s.Partly })
	ok = true
	unheard := false
	for _, alternatives := range p.places(q, want, told) {
		if !heard && alternatives[0].Effect == report.Edits {
			unheard = true // nobody hears how the request was sent on, for nobody lets it in
			continue
		}
		i := slices.IndexFunc(alternatives, func(d verify.Difference) bool { return d.Shown != nil })
		if i < 0 {
			ok = false
		} else if s := alternatives[i].Shown; !slices.ContainsFunc(rows, func(o *feature.Shown) bool { return named(o) == named(s) }) {
			rows = append(rows, s)
		}
	}
	return rows, ok && (unheard || len(rows) > 0)
}

// places lists the differences between model and interpreter along a call: where
// it is routed, and at every workload that it reaches. Each is asked of several
// units where it is not clear whose it is.
func (p *play) places(q semantics.Request, want, told semantics.Decision) [][]verify.Difference {
	if q.Workload != (ir.Name{}) {
		return p.arrivals(q, q, q.Workload, q.Port, ir.ServicePort{})
	}
	var routing []ir.Unit
	for _, piece := range p.pieces {
		u := piece.Unit
		switch {
		case u.Service != nil && u.Key() == ir.Key{Kind: ir.KindService, Namespace: q.Service.Namespace, Name: q.Service.Name},
			u.VirtualHost != nil && u.VirtualHost.Gateway == q.Gateway, u.Gateway != nil && u.Key().Name == q.Gateway.Name:
			routing = append(routing, u)
		}
	}
	meant, got := semantics.New(routing).Decide(q), p.mesh.Route(q)
	var out [][]verify.Difference
	for _, d := range semantics.Differences(q, meant, got.Decision, verify.Rounding) {
		var alternatives []verify.Difference
		for _, u := range routing {
			alternatives = append(alternatives, p.explainer.Explain(verify.Difference{Unit: u.Key(), Request: q, Difference: d, By: got.By, Because: meant.Because}))
		}
		out = append(out, alternatives)
	}
	sent := q
	sent.Path, sent.Headers = told.Sent.Path, told.Sent.Headers
	if q.Gateway != (ir.Name{}) {
		id := p.world.Gateways[q.Gateway].Identity
		sent.From = &id
	}
	for _, s := range told.Shares {
		as := sent
		if slices.ContainsFunc(want.Shares, func(o semantics.Share) bool { return o.Service == s.Service && o.Port == s.Port }) {
			as.Path = want.Sent.Path // as the model sends it there
		}
		called := ir.ServicePort{Service: s.Service, Port: s.Port}
		sent := sent
		sent.Headers = semantics.Edited(sent.Headers, s.Request)
		as.Headers = sent.Headers
		for _, id := range p.world.Servers[called] {
			name := ir.Name{Namespace: id.Namespace, Name: id.Account}
			out = append(out, p.arrivals(as, sent, name, p.world.TargetPort(name, called), called)...)
		}
	}
	return out
}

// arrivals lists the differences at a workload between the model, for a request as it
// sends it there, and the interpreter, for the same as told.
func (p *play) arrivals(q, told semantics.Request, name ir.Name, port int32, called ir.ServicePort) [][]verify.Difference {
	pods := []map[string]string{nil}
	if classes := p.world.Workloads[name].Pods; len(classes) > 0 {
		pods = nil
		for _, c := range classes {
			pods = append(pods, c.Labels)
		}
	}
	unit := ir.Key{Kind: ir.KindWorkload, Namespace: name.Namespace, Name: name.Name}
	want, because := p.model.Admits(name, port, called, q)
	var out [][]verify.Difference
	for _, labels := range pods {
		got := p.mesh.Admit(interpret.Arrival{Request: told, Workload: name, Pod: labels, Port: port, Called: called})
		for _, d := range semantics.Differences(q, admission(want), admission(got.Allowed), verify.Rounding) {
			out = append(out, []verify.Difference{p.explainer.Explain(verify.Difference{Unit: unit, Request: q, Difference: d, By: got.By, Because: because})})
		}
	}
	return out
}

func admission(allowed bool) semantics.Decision {
	if allowed {
		return semantics.Decision{Verdict: semantics.Allow}
	}
	return semantics.Decision{Verdict: semantics.Deny}
}

// named is a Shown for people: "access.match.path [regex] denies on raw-path".
func named(s *feature.Shown) string {
	if s.Feature == "" {
		return "reported where it is made: " + string(s.Effect)
	}
	text := string(s.Feature)
	if len(s.When) > 0 {
		when := make([]string, len(s.When))
		for i, c := range s.When {
			when[i] = string(c)
		}
		text += " [" + strings.Join(when, " ") + "]"
	}
	text += " " + string(s.Effect)
	if s.On != "" {
		text += " on " + string(s.On)
	}
	return text
}

// unitsOf are the units of the pieces, which the model is made of.
func unitsOf(pieces []translators.Piece) []ir.Unit {
	var out []ir.Unit
	for _, p := range pieces {
		out = append(out, p.Unit)
	}
	return out
}

func describe(q semantics.Request, want string, a planes.Answer) string {
	return fmt.Sprintf("%s: %s instead of %s (status %d)", q, outcome(a), want, a.Status)
}

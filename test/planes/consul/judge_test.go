package consul

import (
	"fmt"
	"slices"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/verify"
)

// sceneOf is a golden case as a plane plays it: what its expectations ask, and
// requests of every kind.
func sceneOf(c golden.Case) planes.Scene {
	run := golden.Do(c)
	s := planes.Scene{Name: c.Name, Units: run.Units, Options: c.Options["consul"], Waivers: c.Waivers}
	for _, e := range c.Expect {
		s.Requests = append(s.Requests, e.Request)
	}
	s.Requests = append(s.Requests, semantics.Classes(run.Units)...)
	return s
}

// verdict of a plane on a case.
type verdict struct {
	// asked is how many calls were made.
	asked int
	// effects are how answers differed from the model, with the first that did.
	effects map[report.Effect]string
}

// playCase shows a case and asks all there is to ask, against the model as far as
// it was told to Consul.
func playCase(t *testing.T, p *Plane, s planes.Scene) (verdict, error) {
	t.Helper()
	v := verdict{effects: map[report.Effect]string{}}
	showing, err := p.Show(s)
	if err != nil || showing.Output.Withheld {
		return v, err
	}
	told := unitsOf(showing)
	models := []semantics.Model{semantics.New(told)}
	if p.policy == "deny" { // who is open in the model is closed here, unless a neighbour's intention names him
		models = append(models, semantics.New(closedToAll(told, showing.World)))
	}
	for _, q := range s.Requests {
		a := p.Ask(q)
		if a.Cannot != "" {
			continue
		}
		v.asked++
		if q.From == nil && a.Denied {
			continue // a sidecar lets nobody in without a certificate
		}
		effect, why := judge(showing.World, models[0].Decide(q), a)
		for _, m := range models[1:] {
			if e, _ := judge(showing.World, m.Decide(q), a); e == "" {
				effect = ""
			}
		}
		if effect != "" && v.effects[effect] == "" && !joined(showing, q, effect) {
			v.effects[effect] = fmt.Sprintf("%s: %s", q, why)
		}
	}
	return v, nil
}

// joined reports whether the lines of a header that is sent in several are compared
// as one where a Service is called, and its table says of the request that it may
// differ so: it strays, or comes to a route that answers otherwise.
func joined(s planes.Showing, q semantics.Request, effect report.Effect) bool {
	if !verify.Has(q, feature.OnRepeatedHeader) {
		return false
	}
	for _, p := range s.Pieces {
		called := p.Unit.Service
		if called == nil || (ir.Name{Namespace: called.Namespace, Name: called.Name}) != q.Service {
			continue
		}
		compared, shown := false, false
		d := verify.Difference{Unit: p.Unit.Key(), Request: q, Difference: semantics.Difference{Effect: effect}}
		for _, c := range p.Claims {
			for _, s := range c.Row.Shows {
				compared = compared || s.Feature == feature.RouteHeader && s.On == feature.OnRepeatedHeader
				shown = shown || s.Effect == effect && verify.HasIn(p.Unit, d, s.On)
			}
		}
		return compared && shown
	}
	return false
}

// unitsOf are the units as they were told to Consul.
func unitsOf(s planes.Showing) []ir.Unit {
	var out []ir.Unit
	for _, piece := range s.Pieces {
		out = append(out, piece.Unit)
	}
	return out
}

// closedToAll is a model in which everybody denies what is not granted.
func closedToAll(units []ir.Unit, w interpret.World) []ir.Unit {
	var out []ir.Unit
	for _, n := range w.Namespaces {
		out = append(out, ir.Unit{Namespace: &ir.Namespace{Name: n, Enforced: true}})
	}
	for _, u := range units {
		if u.Workload != nil {
			l := *u.Workload
			l.Enforced = true
			u.Workload = &l
		}
		if u.Namespace == nil {
			out = append(out, u)
		}
	}
	return out
}

// judge says how an answer differs from what is meant: not at all, or by which effect.
func judge(w interpret.World, want semantics.Decision, a planes.Answer) (report.Effect, string) {
	why := fmt.Sprintf("%q answered %d, denied %v, %v, instead of %s %s", a.App, a.Status, a.Denied, a.Err, want.Verdict, semantics.Outcome(want))
	switch {
	case a.Denied && (want.Verdict == semantics.Deny || want.Verdict == semantics.Mixed):
		return "", ""
	case a.Denied:
		return report.Denies, why
	case want.Verdict == semantics.Deny && len(want.Shares) == 0 && a.App != "":
		return report.Allows, why
	case want.Verdict == semantics.Answer && (a.App != "" || a.Status != want.Status || a.Location != want.Location):
		return report.Fails, why
	case want.Verdict == semantics.Answer:
		return "", ""
	case a.App == "":
		if slices.ContainsFunc(want.Shares, func(s semantics.Share) bool { return s.Invalid != "" }) && a.Err == nil && (a.Status >= 500 || a.Status == 0) {
			return "", ""
		}
		return report.Fails, why
	case want.Verdict == semantics.UnknownPort:
		return report.Fails, why
	}
	return where(w, want, a, why)
}

// where judges the answer of a process.
func where(w interpret.World, want semantics.Decision, a planes.Answer, why string) (report.Effect, string) {
	effect := report.Strays
	for _, s := range want.Shares {
		switch {
		case !slices.Contains(processes(w, s), a.App):
		case !s.Allowed && !s.Partly:
			effect = report.Allows
		case a.Status != 0 && semantics.NormalisePath(a.Heard.Path) != semantics.NormalisePath(want.Sent.Path):
			return report.Edits, why + fmt.Sprintf(" asked for %s instead of %s", a.Heard.Path, want.Sent.Path)
		default:
			return "", ""
		}
	}
	if len(want.Shares) == 0 && want.Verdict == semantics.Allow {
		return "", "" // a straight call
	}
	return effect, why
}

// processes are those that answer for a share.
func processes(w interpret.World, s semantics.Share) []string {
	if s.Invalid != "" {
		return nil
	}
	at := ir.ServicePort{Service: s.Service, Port: s.Port}
	servers := w.Servers[at]
	if len(servers) == 0 {
		servers = w.Servers[ir.ServicePort{Service: s.Service, Port: ir.AnyPort}]
	}
	if len(servers) == 0 {
		return []string{planes.Process(s.Service, s.Port)}
	}
	var out []string
	for _, id := range servers {
		n := ir.Name{Namespace: id.Namespace, Name: id.Account}
		out = append(out, planes.Process(n, w.TargetPort(n, at)))
	}
	return out
}

package equivalence

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// judge holds what a caller observed against what was decided.
type judge struct{ world interpret.World }

// behind are the names of the processes that answer for a share; none where it
// is not known to which port of the pods the Service leads.
func (j judge) behind(s semantics.Share) []string {
	called := ir.ServicePort{Service: s.Service, Port: s.Port}
	servers := j.world.Servers[called]
	if len(servers) == 0 {
		servers = j.world.Servers[ir.ServicePort{Service: s.Service, Port: ir.AnyPort}]
	}
	var out []string
	for _, id := range servers {
		name := ir.Name{Namespace: id.Namespace, Name: id.Account}
		for _, p := range j.world.Workloads[name].Ports {
			if slices.Contains(p.Services, called) {
				out = append(out, planes.Process(name, p.Number))
			}
		}
	}
	return out
}

// unanswerable says why a decision cannot be observed, or nothing.
func (j judge) unanswerable(d semantics.Decision) string {
	if d.Verdict == semantics.UnknownPort {
		return "no such port"
	}
	for _, s := range d.Shares {
		if s.Invalid == "" && len(j.behind(s)) == 0 {
			return "nobody is known to answer"
		}
	}
	return ""
}

// held compares one answer with a decision: any share of it will do, for how
// often each is chosen is counted elsewhere. It returns nil where they agree.
func (j judge) held(q semantics.Request, d semantics.Decision, a planes.Answer) *semantics.Difference {
	if q.Workload != (ir.Name{}) {
		return j.straight(q, d, a)
	}
	if d.Verdict == semantics.Answer {
		return j.answered(q, d, a)
	}
	if len(d.Shares) == 0 {
		if a.Denied {
			return nil
		}
		return difference(leaks(a), "denied", a)
	}
	var effect report.Effect
	var why string
	for _, s := range d.Shares {
		e, text := j.share(q, d, s, a)
		if text == "" {
			return nil
		}
		if slices.Index(telling, e) > slices.Index(telling, effect) {
			effect, why = e, text
		}
	}
	return difference(effect, why, a)
}

// telling orders effects by how near an answer is to what a share should be.
var telling = []report.Effect{report.Fails, report.Strays, report.Denies, report.Allows, report.Edits}

func difference(e report.Effect, want string, a planes.Answer) *semantics.Difference {
	return &semantics.Difference{Effect: e, Want: want, Got: outcome(a)}
}

// leaks is the effect of an answer where a denial was due.
func leaks(a planes.Answer) report.Effect {
	if a.App != "" {
		return report.Allows
	}
	return report.Fails
}

func (j judge) straight(q semantics.Request, d semantics.Decision, a planes.Answer) *semantics.Difference {
	name := planes.Process(q.Workload, q.Port)
	switch {
	case d.Verdict != semantics.Allow && a.Denied, d.Verdict == semantics.Allow && a.App == name:
		return nil
	case d.Verdict != semantics.Allow:
		return difference(leaks(a), "denied", a)
	case a.Denied:
		return difference(report.Denies, name, a)
	}
	return difference(report.Fails, name, a)
}

// answered compares an answer with one that no backend gives. A connection that
// is answered is closed.
func (j judge) answered(q semantics.Request, d semantics.Decision, a planes.Answer) *semantics.Difference {
	want := semantics.Outcome(d)
	switch {
	case q.Raw && a.App == "":
		return nil
	case a.Denied:
		return difference(report.Denies, want, a)
	case a.App != "" || a.Err != nil || a.Status != d.Status || lab.Place(a.Location) != lab.Place(d.Location):
		return difference(report.Fails, want, a)
	}
	return nil
}

// share compares an answer with one share; the text says what was wanted where
// they differ, and is empty where they do not.
func (j judge) share(q semantics.Request, d semantics.Decision, s semantics.Share, a planes.Answer) (report.Effect, string) {
	apps := j.behind(s)
	mine := slices.Contains(apps, a.App)
	who := strings.Join(apps, " or ")
	switch {
	case s.Invalid != "":
		if a.App == "" && (q.Raw || !a.Denied && a.Err == nil && a.Status == s.Status) {
			return "", ""
		}
		return report.Fails, fmt.Sprintf("status %d", s.Status)
	case !s.Allowed && a.Denied:
		return "", ""
	case !s.Allowed && !s.Partly:
		if mine {
			return report.Allows, who + " denied"
		}
		return leaksTo(a), who + " denied"
	case a.Denied:
		return report.Denies, who
	case a.App == "":
		return report.Fails, who
	case !mine:
		return report.Strays, who
	case q.Raw:
		return "", ""
	}
	return report.Edits, j.heard(d, s, q, a)
}

// leaksTo is the effect of an answer of somebody else where a denial was due.
func leaksTo(a planes.Answer) report.Effect {
	if a.App != "" {
		return report.Strays
	}
	return report.Fails
}

// heard compares what the process heard, and what the caller did.
func (j judge) heard(d semantics.Decision, s semantics.Share, q semantics.Request, a planes.Answer) string {
	sent := semantics.Edited(d.Sent.Headers, s.Request)
	host := d.Sent.Host
	if h := sent["host"]; len(h) > 0 {
		host = h[0]
	}
	switch {
	case a.Heard.Host != "" && a.Heard.Host != host:
		return fmt.Sprintf("host %q, not %q", host, a.Heard.Host)
	case a.Heard.Path != "" && lab.Target(a.Heard.Path) != lab.Target(d.Sent.Path):
		return fmt.Sprintf("path %q, not %q", d.Sent.Path, a.Heard.Path)
	}
	if a.Heard.Headers != nil {
		want := map[string][]string{}
		for name := range q.Headers {
			want[name] = nil // gone, unless it is sent
		}
		maps.Copy(want, sent)
		if text := lab.SameLines(a.Heard.Headers, want); text != "" {
			return "request " + text
		}
	}
	if a.Header.Get("X-Heard") != "" {
		want := marked(lab.Lines(lab.Answered), d.Sent.Response)
		if text := lab.SameLines(lab.Lines(a.Header), marked(want, s.Response)); text != "" {
			return "answer " + text
		}
	}
	return ""
}

// marked is headers after an edit; those that are removed stay, with no lines.
func marked(headers map[string][]string, e *ir.HeaderEdit) map[string][]string {
	out := maps.Clone(semantics.Edited(headers, e))
	if e != nil {
		for _, n := range e.Remove {
			out[n] = nil
		}
	}
	return out
}

// outcome says in a few words what was observed.
func outcome(a planes.Answer) string {
	switch {
	case a.App != "":
		return "app " + a.App
	case a.Denied:
		return "denied"
	case a.Err != nil:
		return "error " + a.Err.Error()
	case a.Location != "":
		return fmt.Sprintf("status %d to %s", a.Status, lab.Place(a.Location))
	}
	return fmt.Sprintf("status %d", a.Status)
}

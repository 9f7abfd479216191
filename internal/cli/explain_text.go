package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/internal/ask"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// explained shows an answer to people.
func explained(s *screen, a ask.Answer) error {
	s.line(printable(a.Request.String())) // whole, to be copied
	verdict(s, a.Request, a.Decision)
	because(s, a)
	considered(s, "ROUTES THAT DID NOT DECIDE", a.Trace.Routes)
	considered(s, "GRANTS THAT DID NOT DECIDE", a.Trace.Grants)
	if len(a.Opinions) > 0 {
		opinions(s, a)
		lost(s, a.Opinions)
	}
	return s.flush()
}

var verdictColors = map[semantics.Verdict]string{
	semantics.Allow: green, semantics.Deny: red, semantics.Mixed: yellow, semantics.Answer: yellow,
}

// verdict says in the words of a policy what becomes of the request.
func verdict(s *screen, q semantics.Request, d semantics.Decision) {
	text := s.paint(string(d.Verdict), verdictColors[d.Verdict])
	if d.Route != "" {
		text += "  by route " + printable(d.Route)
	}
	s.line(text)
	if d.Verdict == semantics.Answer {
		s.line("  the proxy answers: " + printable(semantics.Outcome(d)))
	}
	for _, share := range d.Shares {
		s.line("  " + printable(shareText(share)))
	}
	for _, m := range d.Mirrors {
		s.line(printable(fmt.Sprintf("  %6s  copied to %s:%d", percent(m.Percent), m.Service, m.Port)))
	}
	if len(d.Shares) > 0 {
		sentOn(s, q, d)
	}
}

func shareText(share semantics.Share) string {
	text := fmt.Sprintf("%6s  %s:%d", percent(share.Percent), share.Service, share.Port)
	switch {
	case share.Invalid != "":
		text += fmt.Sprintf("  fails with %d: %s", share.Status, share.Invalid)
	case share.Partly:
		text += "  some of its pods deny the call"
	case !share.Allowed:
		text += "  denied"
	}
	return text
}

// sentOn says what backends are asked, where that is not what was asked.
func sentOn(s *screen, q semantics.Request, d semantics.Decision) {
	var parts []string
	if d.Sent.Path != q.Path && !q.Raw {
		parts = append(parts, "path "+d.Sent.Path)
	}
	for _, name := range sortedKeys(d.Sent.Headers) {
		if lines := d.Sent.Headers[name]; !slices.Equal(lines, q.Headers[name]) {
			parts = append(parts, name+": "+strings.Join(lines, ", "))
		}
	}
	for _, name := range sortedKeys(q.Headers) {
		if len(d.Sent.Headers[name]) == 0 {
			parts = append(parts, "no "+name)
		}
	}
	if d.Timeout != (ir.Timeout{}) {
		parts = append(parts, fmt.Sprintf("within %v", cmp.Or(d.Timeout.Request, d.Timeout.Backend)))
	}
	if len(parts) > 0 {
		s.wrapped("  ", "sent on with "+strings.Join(parts, "; "))
	}
}

// because shows the lines that decide. An object as a whole is shown only where
// nothing in it is.
func because(s *screen, a ask.Answer) {
	refs := a.Deciding()
	refs = slices.DeleteFunc(refs, func(r report.Ref) bool {
		return r.Field == "" && slices.ContainsFunc(refs, func(o report.Ref) bool { return o.Field != "" && o.Object() == r })
	})
	if len(refs) == 0 {
		return
	}
	s.head("BECAUSE")
	type line struct {
		file string
		line int
	}
	shown := map[line]bool{}
	for _, r := range refs {
		p, known := position(s.set, r)
		if known && shown[line{p.File, p.Line}] {
			continue
		}
		shown[line{p.File, p.Line}] = true
		at, line := s.place(r), s.excerpt(r)
		s.line(fmt.Sprintf("  %s  %s", at, printable(r.String())))
		if line != "" {
			s.line("      " + line)
		}
	}
}

// considered shows the rules that did not decide, and why.
func considered(s *screen, title string, tried []ask.Tried) {
	const most = 20
	others := slices.DeleteFunc(slices.Clone(tried), func(t ask.Tried) bool { return t.Decided })
	if len(others) == 0 {
		return
	}
	s.head(title)
	for i, t := range others {
		if i == most {
			s.line(fmt.Sprintf("  ... and %d more: -o json lists them", len(others)-most))
			return
		}
		s.line(fmt.Sprintf("  %s  %s", s.place(t.Ref), printable(t.What)))
		for _, why := range t.Why {
			s.wrapped("      ", why)
		}
	}
}

// opinions shows what each back end makes of the request, beside the model.
func opinions(s *screen, a ask.Answer) {
	s.line("")
	rows := [][]string{{"BACKEND", "DECISION", "ENFORCED BY", "ARTIFACT", ""}, {theModel, string(a.Decision.Verdict), "", "", ""}}
	for _, o := range a.Opinions {
		row := []string{name(o.Target), o.Silent, "", "", ""}
		if o.Silent == "" {
			where, by := o.Enforced(a.Request)
			row[1], row[2], row[3] = string(o.Decision.Verdict), where, s.artifacts(by)
			if len(o.Differs) > 0 {
				row[4] = s.paint("differs", red)
			}
		}
		rows = append(rows, row)
	}
	s.columns(rows)
	for _, o := range a.Opinions {
		for _, d := range o.Differs {
			s.line("")
			s.named("", name(o.Target), yellow, d.String())
			if len(d.Causes) == 0 {
				s.wrapped("  ", "no table says so: this is a defect of meshknot")
			}
			for _, c := range d.Causes[:min(3, len(d.Causes))] {
				s.wrapped("  ", lossText(s, c))
			}
		}
	}
}

// artifacts names the first artifact that decides, and how many more do.
func (s *screen) artifacts(by []translators.ID) string {
	if len(by) == 0 {
		return "-"
	}
	text, more := []rune(printable(artifact(by[0]))), ""
	if len(by) > 1 {
		more = fmt.Sprintf(" +%d", len(by)-1)
	}
	if most := max(s.width-56, 24) - len(more); len(text) > most {
		text = append(text[:most-1], '…')
	}
	return string(text) + more
}

// artifact renders an ID by the last word of its type.
func artifact(id translators.ID) string {
	return id.Type[strings.LastIndexAny(id.Type, "/.")+1:] + " " + id.Name
}

// lost shows what back ends do not keep of the policies involved: each note of
// a back end once, with the first place that it is about.
func lost(s *screen, all []ask.Opinion) {
	type note struct {
		backend string
		first   ask.Loss
		more    int
	}
	var notes []note
	for _, o := range all {
		for _, l := range o.Losses {
			i := slices.IndexFunc(notes, func(n note) bool {
				return n.backend == name(o.Target) && n.first.Class == l.Class && n.first.Note == l.Note
			})
			if i >= 0 {
				notes[i].more++
				continue
			}
			notes = append(notes, note{name(o.Target), l, 0})
		}
	}
	if len(notes) == 0 {
		return
	}
	s.head("NOT KEPT")
	for _, n := range notes {
		at := s.place(n.first.Ref)
		if n.more > 0 {
			at += fmt.Sprintf(" and %s more", counted(n.more, "place"))
		}
		s.line(fmt.Sprintf("  %s %s  %s", n.backend, n.first.Class, at))
		s.wrapped("      ", n.first.What+": "+n.first.Note)
	}
}

func lossText(s *screen, l ask.Loss) string {
	text := fmt.Sprintf("%s: %s: %s", l.Class, l.What, l.Note)
	if l.Ref.IsZero() {
		return text
	}
	return s.place(l.Ref) + "  " + text
}

// percent renders a share as a policy's author would: with two digits behind
// the point at most.
func percent(p float64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", p), "0"), ".") + "%"
}

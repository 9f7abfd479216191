package semantics

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Difference is one way in which a decision is other than it is meant to be.
type Difference struct {
	Effect report.Effect
	// Want and Got say the two, for people.
	Want, Got string
}

// String renders "strays: shop/v1:80=90% instead of shop/v1:80=100%".
func (d Difference) String() string {
	return fmt.Sprintf("%s: %s instead of %s", d.Effect, d.Got, d.Want)
}

// Differences lists how a decision of a request differs from the one that is
// meant, to callers and to backends; none where they are the same. Names of
// routes, and the places that decide, do not count. Shares may differ by
// rounding percent. A connection without requests is closed or is not: there
// statuses and edits do not count either.
func Differences(q Request, want, got Decision, rounding float64) []Difference {
	want, got = canonical(q, want), canonical(q, got)
	var out []Difference
	add := func(e report.Effect, w, g string) {
		if w != g {
			out = append(out, Difference{e, w, g})
		}
	}
	if want.Verdict != got.Verdict && (want.Verdict == UnknownPort || got.Verdict == UnknownPort) {
		return []Difference{{report.Fails, string(want.Verdict), string(got.Verdict)}}
	}
	// A route that denies the whole call asks no backend and answers nothing.
	out = append(out, access(want, got)...)
	if want.Verdict == Answer || got.Verdict == Answer || len(want.Shares) == 0 || len(got.Shares) == 0 {
		if len(out) == 0 {
			add(report.Fails, Outcome(want), Outcome(got))
		}
		return out
	}
	if !slices.EqualFunc(want.Shares, got.Shares, func(a, b Share) bool { return sameTarget(a, b, rounding) }) {
		return append(out, Difference{report.Strays, Outcome(want), Outcome(got)})
	}
	for i := range want.Shares {
		w, g := want.Shares[i], got.Shares[i]
		if w.Invalid != "" {
			add(report.Fails, fmt.Sprint("status ", w.Status), fmt.Sprint("status ", g.Status))
			continue
		}
		if !sentAlike(want, w, got, g) {
			add(report.Edits, sent(want, w), sent(got, g))
		}
		if want.Sent.Response != nil || got.Sent.Response != nil || w.Response != nil || g.Response != nil {
			add(report.Edits, answered(want, w), answered(got, g))
		}
	}
	if !slices.EqualFunc(want.Mirrors, got.Mirrors, func(a, b Share) bool { return sameTarget(a, b, rounding) }) {
		out = append(out, Difference{report.Mirrors, targets(want.Mirrors), targets(got.Mirrors)})
	}
	if want.Timeout != got.Timeout {
		add(report.Times, timeout(want.Timeout), timeout(got.Timeout))
	}
	return out
}

// access compares who lets the call in, share by share where they are the same.
func access(want, got Decision) []Difference {
	if len(want.Shares) > 0 && slices.EqualFunc(want.Shares, got.Shares, func(a, b Share) bool {
		return a.Service == b.Service && a.Port == b.Port && a.Allowed == b.Allowed
	}) {
		return nil
	}
	denied := func(d Decision) map[ir.ServicePort]bool {
		out := map[ir.ServicePort]bool{}
		for _, s := range d.Shares {
			out[ir.ServicePort{Service: s.Service, Port: s.Port}] = !s.Allowed
		}
		return out
	}
	w, g := denied(want), denied(got)
	var out []Difference
	if len(w) == 0 || len(g) == 0 { // a straight call, or an answer
		switch {
		case want.Verdict == Deny && got.Verdict != Deny:
			out = append(out, Difference{report.Allows, Outcome(want), Outcome(got)})
		case want.Verdict != Deny && got.Verdict == Deny:
			out = append(out, Difference{report.Denies, Outcome(want), Outcome(got)})
		}
		return out
	}
	for _, at := range slices.SortedFunc(maps.Keys(g), ir.ServicePort.Compare) {
		switch known, ok := w[at]; {
		case !ok:
		case known && !g[at]:
			return append(out, Difference{report.Allows, Outcome(want), Outcome(got)})
		case !known && g[at]:
			return append(out, Difference{report.Denies, Outcome(want), Outcome(got)})
		}
	}
	return out
}

// canonical is a decision in which what no caller and no backend can tell apart
// is the same: shares that fail alike are one, whoever was meant, and an answer
// where they are all, and so are the shares of one backend that are edited alike.
func canonical(q Request, d Decision) Decision {
	if q.Raw {
		d.Status, d.Location, d.Sent, d.Mirrors, d.Timeout = 0, "", Sent{}, nil, ir.Timeout{}
	}
	d.Location = redirected(d.Location)
	var shares []Share
	for _, s := range d.Shares {
		if s.Invalid != "" {
			s = Share{Percent: s.Percent, Invalid: "invalid", Status: s.Status, Allowed: true}
		}
		if q.Raw {
			s.Status, s.Request, s.Response = 0, nil, nil
		}
		i := slices.IndexFunc(shares, func(o Share) bool { return compareShares(s, o) == 0 })
		if i < 0 {
			shares = append(shares, s)
			continue
		}
		shares[i].Percent += s.Percent
	}
	slices.SortFunc(shares, compareShares)
	d.Shares = shares
	if len(shares) == 1 && shares[0].Invalid != "" { // every request fails alike: an answer
		return Decision{Verdict: Answer, Status: shares[0].Status}
	}
	return d
}

// redirected is where a redirect leads, with the path in its normal form, as it
// counts where a request is sent on.
func redirected(location string) string {
	scheme, rest, _ := strings.Cut(location, "://")
	i := strings.IndexByte(rest, '/')
	if i < 0 {
		return location
	}
	target, query, asked := strings.Cut(rest[i:], "?")
	if target = NormalisePath(target); asked {
		target += "?" + query
	}
	return scheme + "://" + rest[:i] + target
}

// compareShares orders shares by everything but how large they are.
func compareShares(a, b Share) int {
	but := cmp.Or(a.Service.Compare(b.Service), cmp.Compare(a.Port, b.Port), strings.Compare(a.Invalid, b.Invalid), cmp.Compare(a.Status, b.Status))
	if but != 0 || a.Request == nil && b.Request == nil && a.Response == nil && b.Response == nil {
		return but
	}
	edits := func(s Share) string { return answered(Decision{}, s) + sent(Decision{}, s) }
	return strings.Compare(edits(a), edits(b))
}

func sameTarget(a, b Share, rounding float64) bool {
	return a.Service == b.Service && a.Port == b.Port && (a.Invalid == "") == (b.Invalid == "") && math.Abs(a.Percent-b.Percent) <= rounding
}

// sentAlike reports, without writing it down, that two backends are told the same.
// It may report false where they are.
func sentAlike(want Decision, w Share, got Decision, g Share) bool {
	return w.Request == nil && g.Request == nil && want.Sent.Host == got.Sent.Host && want.Sent.Path == got.Sent.Path &&
		maps.EqualFunc(want.Sent.Headers, got.Sent.Headers, slices.Equal)
}

// sent is what the backend of a share is told.
func sent(d Decision, s Share) string {
	h := edit(d.Sent.Headers, s.Request)
	host := d.Sent.Host
	if v := h["host"]; len(v) > 0 {
		host = v[0]
	}
	_, query, _ := strings.Cut(d.Sent.Path, "?")
	return fmt.Sprintf("host %q path %q query %q%s", host, NormalisePath(d.Sent.Path), query, headerText(h))
}

// answered is what the route and the share make of an answer that has the
// headers that they speak of.
func answered(d Decision, s Share) string {
	h := map[string][]string{}
	for _, e := range []*ir.HeaderEdit{d.Sent.Response, s.Response} {
		if e == nil {
			continue
		}
		for _, n := range e.Remove {
			h[n] = nil
		}
		for _, v := range e.Set {
			h[v.Name] = []string{"=" + v.Value}
		}
		for _, v := range e.Add {
			h[v.Name] = append(slices.Clone(h[v.Name]), "+"+v.Value)
		}
	}
	if len(h) == 0 {
		return "answer as it is"
	}
	return "answer" + headerText(h)
}

func headerText(h map[string][]string) string {
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(h)) {
		if n != "host" {
			fmt.Fprintf(&b, " %s=%s", n, strings.Join(h[n], ","))
		}
	}
	return b.String()
}

func timeout(t ir.Timeout) string {
	return fmt.Sprintf("%v for all, %v for one attempt", t.Request, t.Backend)
}

// Outcome says in a few words what becomes of a request.
func Outcome(d Decision) string {
	switch {
	case d.Verdict == UnknownPort:
		return "no such port"
	case d.Location != "":
		return fmt.Sprintf("%d to %s", d.Status, d.Location)
	case d.Status != 0:
		return fmt.Sprintf("status %d", d.Status)
	case len(d.Shares) == 0:
		return string(d.Verdict)
	}
	return targets(d.Shares)
}

func targets(shares []Share) string {
	var parts []string
	for _, s := range shares {
		text := fmt.Sprintf("%s:%d %s%%", s.Service, s.Port, percent(s.Percent))
		switch {
		case s.Invalid != "":
			text += " (fails)"
		case s.Partly:
			text += " (denied in part)"
		case !s.Allowed:
			text += " (denied)"
		}
		parts = append(parts, text)
	}
	return cmp.Or(strings.Join(parts, ", "), "nobody")
}

// percent renders a share with at most two digits behind the point.
func percent(p float64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", p), "0"), ".")
}

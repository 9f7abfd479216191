package equivalence

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// lot is what a caller observes with some probability: any of the outcomes.
type lot struct {
	outcomes []string
	p        float64
}

// lots are what a caller can observe of a decision. Shares that cannot be told
// apart, as one process or one status stands for both, are one lot.
func (j judge) lots(q semantics.Request, d semantics.Decision) []lot {
	var out []lot
	for _, s := range d.Shares {
		one := lot{p: s.Percent / 100}
		switch {
		case s.Invalid != "" && q.Raw, s.Invalid == "" && (!s.Allowed || s.Partly):
			one.outcomes = append(one.outcomes, "denied")
		case s.Invalid != "":
			one.outcomes = append(one.outcomes, fmt.Sprintf("status %d", s.Status))
		}
		if s.Invalid == "" && (s.Allowed || s.Partly) {
			for _, app := range j.behind(s) {
				one.outcomes = append(one.outcomes, "app "+app)
			}
		}
		rest := out[:0:0]
		for _, o := range out {
			if !slices.ContainsFunc(o.outcomes, func(s string) bool { return slices.Contains(one.outcomes, s) }) {
				rest = append(rest, o)
				continue
			}
			one.p += o.p
			one.outcomes = append(one.outcomes, o.outcomes...)
		}
		out = append(rest, one)
	}
	return out
}

// outcomes are all that can be observed of a decision.
func (j judge) outcomes(q semantics.Request, d semantics.Decision) []string {
	switch {
	case d.Verdict == semantics.Answer:
		return []string{semantics.Outcome(d)}
	case len(d.Shares) == 0 && d.Verdict == semantics.Deny:
		return []string{"denied"}
	case len(d.Shares) == 0:
		return []string{"allowed"}
	}
	var out []string
	for _, l := range j.lots(q, d) {
		out = append(out, l.outcomes...)
	}
	return out
}

// certain are the rows whose effect one answer must show: where both decisions
// have an outcome in common it need not, nor where it is about what no process
// reports, about copies or about time.
func (j judge) certain(rows []*feature.Shown, q semantics.Request, want, told semantics.Decision, a planes.Answer) []*feature.Shown {
	possible := j.outcomes(q, told)
	common := slices.ContainsFunc(j.outcomes(q, want), func(o string) bool { return slices.Contains(possible, o) })
	var out []*feature.Shown
	for _, s := range rows {
		switch s.Effect {
		case report.Mirrors, report.Times:
		case report.Edits:
			if a.Heard.Headers != nil {
				out = append(out, s)
			}
		default:
			if !common {
				out = append(out, s)
			}
		}
	}
	return out
}

// drawn compares what n requests observed with the lots. The text is empty where
// nothing is too improbable.
func drawn(lots []lot, seen map[string]int, n int) string {
	var wrong []string
	left := maps.Clone(seen)
	for _, l := range lots {
		k := 0
		for _, o := range l.outcomes {
			k += left[o]
			left[o] = 0
		}
		if Improbable(k, n, min(l.p, 1), TestChance) {
			wrong = append(wrong, fmt.Sprintf("%s: %d of %d instead of %.2f %%", strings.Join(l.outcomes, " or "), k, n, 100*l.p))
		}
	}
	for _, o := range slices.Sorted(maps.Keys(left)) {
		if left[o] > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: %d of %d instead of never", o, left[o], n))
		}
	}
	return strings.Join(wrong, "; ")
}

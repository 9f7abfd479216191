package ask

import (
	"fmt"
	"math/rand/v2"

	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Outcome is what may become of a request, and how often.
type Outcome struct {
	// What is "NS/NAME:PORT" of a backend, or what is answered.
	What string
	// Kind tells outcomes apart.
	Kind OutcomeKind
	// Percent of the requests that are meant to end so, 0 to 100, and how many
	// of those that were simulated did.
	Percent float64
	Count   int
}

// OutcomeKind is a kind of outcome.
type OutcomeKind string

// The kinds of outcomes.
const (
	// Served: a backend gets the request and lets it in.
	Served OutcomeKind = "served"
	// Refused: the request is denied.
	Refused OutcomeKind = "denied"
	// ByLuck: some pods of the backend deny the request and some do not.
	ByLuck OutcomeKind = "denied by some pods"
	// Failed: the share has no backend.
	Failed OutcomeKind = "fails"
	// Answered: the proxy answers by itself.
	Answered OutcomeKind = "answered"
)

// Outcomes lists what may become of a request that was decided so. Percents
// sum up to 100.
func Outcomes(d semantics.Decision) []Outcome {
	switch {
	case d.Verdict == semantics.Answer:
		return []Outcome{{semantics.Outcome(d), Answered, 100, 0}}
	case d.Verdict == semantics.UnknownPort:
		return []Outcome{{semantics.Outcome(d), Failed, 100, 0}}
	case len(d.Shares) == 0 && d.Verdict == semantics.Deny:
		return []Outcome{{"nobody", Refused, 100, 0}}
	case len(d.Shares) == 0:
		return []Outcome{{"the pods", Served, 100, 0}}
	}
	var out []Outcome
	for _, s := range d.Shares {
		o := Outcome{What: fmt.Sprintf("%s:%d", s.Service, s.Port), Kind: Served, Percent: s.Percent}
		switch {
		case s.Invalid != "":
			o.Kind, o.What = Failed, fmt.Sprintf("%s with %d: %s", o.What, s.Status, s.Invalid)
		case s.Partly:
			o.Kind = ByLuck
		case !s.Allowed:
			o.Kind = Refused
		}
		out = append(out, o)
	}
	return out
}

// Simulate throws dice for count requests, the same ones for one seed.
func Simulate(outcomes []Outcome, count int, seed uint64) {
	dice := rand.New(rand.NewPCG(seed, 0))
	for range count {
		at := dice.Float64() * 100
		for i := range outcomes {
			// The last one takes what rounding leaves over.
			if at -= outcomes[i].Percent; at < 0 || i == len(outcomes)-1 {
				outcomes[i].Count++
				break
			}
		}
	}
}

// Decide decides a request by the model, or by a mesh where the asker has a
// target: the first one.
func (a *Asker) Decide(q semantics.Request) (d semantics.Decision, doubts []string, err error) {
	s := a.Slice(q)
	if doubts, err = a.Known(q, s); err != nil {
		return d, nil, err
	}
	if len(a.targets) == 0 {
		return semantics.New(s.Units).Decide(q), doubts, nil
	}
	m := a.Translated(a.targets[0], s.Units, interpret.WorldOf(s.Units))
	if why := m.Silent(); why != "" {
		return d, nil, fmt.Errorf("%s cannot be asked: %s", a.targets[0].Backend, why)
	}
	d, _, _ = m.Decide(q)
	return d, doubts, nil
}

package controller

import (
	"cmp"
	"errors"
	"slices"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
)

// Outcome is what came of an artifact.
type Outcome struct {
	State   OutcomeState
	Message string
}

// OutcomeState is a kind of outcome.
type OutcomeState string

// The states of an artifact that a sink is given.
const (
	// Pending: it was not tried yet, or is being tried, or its mesh has not spoken of it.
	Pending OutcomeState = "pending"
	// Written: the sink holds it.
	Written OutcomeState = "written"
	// Refused: the mesh's API does not take it; trying again is mostly of no use: see denied.
	Refused OutcomeState = "refused"
	// Rejected: it is written, and its mesh says that it does not put it in force.
	Rejected OutcomeState = "rejected"
	// Foreign: somebody else has an object of its name.
	Foreign OutcomeState = "foreign"
	// Claimed: an older binding makes something of its name.
	Claimed OutcomeState = "claimed"
	// Missing: its kind is not served.
	Missing OutcomeState = "missing"
	// Failed: it is tried again.
	Failed OutcomeState = "failed"
)

// denied reports whether an error may pass though it is a refusal: rights and policies
// are given and taken by people.
func denied(err error) bool {
	var refused *sink.Refused
	return errors.As(err, &refused) && refused.Denied
}

// judge turns the error of a sink into an outcome.
func judge(err error) Outcome {
	var foreign *sink.Foreign
	var refused *sink.Refused
	var missing *sink.Missing
	switch {
	case err == nil:
		return Outcome{State: Written}
	case errors.As(err, &foreign):
		return Outcome{Foreign, err.Error()}
	case errors.As(err, &refused):
		return Outcome{Refused, err.Error()}
	case errors.As(err, &missing):
		return Outcome{Missing, err.Error()}
	}
	return Outcome{Failed, err.Error()}
}

// result is the name of an outcome in the metrics.
func result(t task, wrote bool, s OutcomeState) string {
	switch {
	case s == Failed:
		return "error"
	case s != Written:
		return string(s)
	case !wrote:
		return "unchanged"
	case t.artifact == nil:
		return "deleted"
	}
	return "written"
}

// tally counts what is wanted of a binding, and what of it is not written, with the
// worst outcome of those.
func (p *publisher) tally() map[string]tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]tally{}
	for s, it := range p.items {
		if it.artifact == nil {
			continue
		}
		t := out[s.binding]
		t.wanted++
		if o := p.inForce(s, it); o.State != Written {
			t.open++
			if t.worst.State == "" || worse(o, s, t) {
				t.worst, t.at = o, s.id
			}
		}
		out[s.binding] = t
	}
	return out
}

// tally is what there is to be said of the artifacts of a binding.
type tally struct {
	wanted, open int
	worst        Outcome
	at           translators.ID
}

var severity = []OutcomeState{Written, Pending, Failed, Rejected, Missing, Claimed, Foreign, Refused}

func worse(o Outcome, s slot, than tally) bool {
	c := cmp.Compare(slices.Index(severity, o.State), slices.Index(severity, than.worst.State))
	return c > 0 || c == 0 && s.id.Compare(than.at) < 0
}

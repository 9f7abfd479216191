package envoy_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// judge holds what a caller heard against what the policy means. Shares are
// counted elsewhere: here one of those that can be is enough. A backend answers
// with the name that called has for it.
func judge(got lab.Reply, d semantics.Decision, called func(semantics.Share) string) error {
	if d.Verdict == semantics.Answer {
		return judgeAnswer(got, d)
	}
	if len(d.Shares) == 0 {
		return fmt.Errorf("the model says %s", d.Verdict)
	}
	var why error
	for _, s := range d.Shares {
		if why = judgeShare(got, d, s, called(s)); why == nil {
			return nil
		}
	}
	return why
}

func judgeAnswer(got lab.Reply, d semantics.Decision) error {
	if got.Status != d.Status {
		return fmt.Errorf("status %d, want %d of route %s", got.Status, d.Status, d.Route)
	}
	if got, want := lab.Place(got.Header.Get("location")), lab.Place(d.Location); got != want {
		return fmt.Errorf("redirected to %q, want %q", got, want)
	}
	return nil
}

func judgeShare(got lab.Reply, d semantics.Decision, s semantics.Share, name string) error {
	switch {
	case s.Invalid != "" && got.Status == 500, !s.Allowed && got.Status == 403:
		return nil
	case s.Invalid != "" || !s.Allowed || got.Status != 200:
		return fmt.Errorf("status %d, want route %s to %s (%q)", got.Status, d.Route, s.Service, s.Invalid)
	case got.Heard.App != name:
		return fmt.Errorf("%s answered, want %s of route %s", got.Heard.App, name, d.Route)
	case got.Heard.Host != sentHost(d, s):
		return fmt.Errorf("asked for host %s, want %s", got.Heard.Host, sentHost(d, s))
	case lab.Target(got.Heard.Path) != lab.Target(d.Sent.Path):
		return fmt.Errorf("asked for path %s, want %s", got.Heard.Path, d.Sent.Path)
	}
	if text := lab.SameLines(got.Heard.Headers, applied(d.Sent.Headers, s.Request)); text != "" {
		return fmt.Errorf("request: %s", text)
	}
	if text := lab.SameLines(lab.Lines(got.Header), applied(applied(lab.Lines(lab.Answered), d.Sent.Response), s.Response)); text != "" {
		return fmt.Errorf("answer: %s", text)
	}
	return nil
}

func sentHost(d semantics.Decision, s semantics.Share) string {
	if s.Request != nil {
		for _, h := range s.Request.Set {
			if h.Name == "host" {
				return h.Value
			}
		}
	}
	return d.Sent.Host
}

// applied is what an edit makes of headers, by the words of ir.HeaderEdit.
func applied(headers map[string][]string, e *ir.HeaderEdit) map[string][]string {
	out := maps.Clone(headers)
	if out == nil {
		out = map[string][]string{}
	}
	if e == nil {
		return out
	}
	for _, n := range e.Remove {
		out[n] = nil
	}
	for _, h := range e.Set {
		out[h.Name] = []string{h.Value}
	}
	for _, h := range e.Add {
		out[h.Name] = append(slices.Clone(out[h.Name]), h.Value)
	}
	return out
}

// askAll asks everything and says what differs.
func askAll(t *testing.T, m semantics.Model, all []semantics.Request, door func(semantics.Request) (int32, bool)) int {
	t.Helper()
	asked := 0
	for _, q := range all {
		port, ok := door(q)
		if !ok || q.Raw {
			continue
		}
		asked++
		q = withHost(q)
		if err := judge(exchange(t, port, lab.Words(q)), m.Decide(q), func(s semantics.Share) string { return s.Service.Name }); err != nil {
			t.Errorf("%v\n%s", err, lab.Words(q))
		}
	}
	return asked
}

// withHost is a request with the host that lab.Converse would ask for.
func withHost(q semantics.Request) semantics.Request {
	if len(q.Headers["host"]) > 0 {
		return q
	}
	q.Headers = applied(q.Headers, &ir.HeaderEdit{Set: []ir.Header{{Name: "host", Value: lab.AnyHost}}})
	return q
}

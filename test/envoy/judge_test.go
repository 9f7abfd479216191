package envoy_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
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
	if got, want := canonical(got.Header.Get("location")), canonical(d.Location); got != want {
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
	case normal(got.Heard.Path) != normal(d.Sent.Path):
		return fmt.Errorf("asked for path %s, want %s", got.Heard.Path, d.Sent.Path)
	}
	if err := sameHeaders(got.Heard.Headers, applied(d.Sent.Headers, s.Request)); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if err := sameHeaders(lower(got.Header), applied(applied(lower(lab.Answered), d.Sent.Response), s.Response)); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

func lower(h http.Header) map[string][]string {
	out := map[string][]string{}
	for k, v := range h {
		out[strings.ToLower(k)] = v
	}
	return out
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

// sameHeaders compares the headers that are wanted or wanted to be gone. Lines
// may be joined by commas on the way.
func sameHeaders(got, want map[string][]string) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if name == "host" || name == "connection" {
			continue
		}
		g, w := strings.Join(got[name], ","), strings.Join(want[name], ",")
		if g != w || (got[name] == nil) != (want[name] == nil) {
			return fmt.Errorf("%s is %q, want %q", name, got[name], want[name])
		}
	}
	return nil
}

// normal is a request target whose path is normalised.
func normal(target string) string {
	_, query, asked := strings.Cut(target, "?")
	path := semantics.NormalisePath(target)
	if asked {
		path += "?" + query
	}
	return path
}

// canonical is an address without the port that its scheme implies, and with a
// normalised path: two such are one place exactly if they are equal.
func canonical(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return location
	}
	host := strings.ToLower(u.Host)
	if u.Port() == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host = strings.ToLower(u.Hostname())
	}
	_, target, _ := strings.Cut(location, u.Host)
	return u.Scheme + "://" + host + normal(target)
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

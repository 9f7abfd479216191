package semantics

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// send says what backends are asked, and returns the request as they see it.
func (d *Decision) send(r ir.Route, m ir.Match, q Request) Request {
	q.Headers = edit(q.Headers, r.RequestHeaders)
	if w := r.Rewrite; w != nil {
		q.Path = editPath(q.Path, w.Path, m)
		if w.Host != "" {
			q.Headers = maps.Clone(q.Headers)
			if q.Headers == nil {
				q.Headers = map[string][]string{}
			}
			q.Headers["host"] = []string{w.Host}
		}
	}
	d.Sent = Sent{Path: q.Path, Headers: q.Headers, Response: r.ResponseHeaders}
	if h := q.Headers["host"]; len(h) > 0 {
		d.Sent.Host = h[0]
	}
	return q
}

// Edited returns headers after an edit; nil is no edit. It changes neither.
func Edited(headers map[string][]string, e *ir.HeaderEdit) map[string][]string {
	return edit(headers, e)
}

// edit applies an edit to headers, which it leaves as they are.
func edit(headers map[string][]string, e *ir.HeaderEdit) map[string][]string {
	if e == nil {
		return headers
	}
	out := map[string][]string{}
	for k, v := range headers {
		if !slices.Contains(e.Remove, k) {
			out[k] = v
		}
	}
	for _, h := range e.Set {
		out[h.Name] = []string{h.Value}
	}
	for _, h := range e.Add {
		out[h.Name] = append(slices.Clone(out[h.Name]), h.Value)
	}
	return out
}

// editPath replaces the path of a request target, whose query stays.
func editPath(target string, e *ir.PathEdit, m ir.Match) string {
	if e == nil {
		return target
	}
	_, query, asked := strings.Cut(target, "?")
	path := e.Value
	if e.Prefix {
		rest := NormalisePath(target)
		if m.Path.Kind == ir.MatchSegments {
			rest = strings.TrimPrefix(rest, m.Path.Value)
		}
		path = strings.TrimSuffix(e.Value, "/") + rest
		switch {
		case rest != "" && rest[0] != '/': // "/" was replaced
			path = strings.TrimSuffix(e.Value, "/") + "/" + rest
		case path == "":
			path = "/"
		}
	}
	if asked {
		path += "?" + query
	}
	return path
}

// mirrors lists who gets copies of a request.
func (m Model) mirrors(r ir.Route, q Request) []Share {
	var out []Share
	for _, c := range r.Mirrors {
		if c.Backend.Invalid != "" || c.Numerator == 0 {
			continue
		}
		s := Share{Service: c.Backend.Service, Port: c.Backend.Port, Percent: 100 * float64(c.Numerator) / float64(c.Denominator), Allowed: true}
		m.admitShare(&s, c.Backend.Servers, q)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Share) int { return a.Service.Compare(b.Service) })
	return out
}

// location is where a redirect leads whose request came by plain HTTP.
func location(r ir.Redirect, m ir.Match, q Request) string {
	scheme, port := r.Scheme, r.Port
	if scheme == "" {
		scheme = "http"
		if port == 0 {
			port = q.Port
		}
	}
	host := r.Host
	if host == "" {
		host = hostOf(q)
	}
	if port != 0 && port != wellKnown[scheme] {
		host = fmt.Sprintf("%s:%d", host, port)
	}
	return scheme + "://" + host + editPath(q.Path, r.Path, m)
}

var wellKnown = map[string]int32{"http": 80, "https": 443}

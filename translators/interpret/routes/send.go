package routes

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Shares are the parts of the requests that backends get, of those that have a
// weight; none where none has. Missing says why a backend is not there, and with
// which status its share fails.
func Shares(backends []Backend, missing func(Backend) (why string, status int)) []semantics.Share {
	var total float64
	for _, b := range backends {
		total += float64(b.Weight)
	}
	var out []semantics.Share
	for _, b := range backends {
		if b.Weight == 0 {
			continue
		}
		s := semantics.Share{Service: b.Service, Port: b.Port, Percent: 100 * float64(b.Weight) / total, Allowed: true,
			Request: b.Edits.Request, Response: b.Edits.Response}
		s.Invalid, s.Status = missing(b)
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b semantics.Share) int { return a.Service.Compare(b.Service) })
	return out
}

// Exists says whether a Service is there, and whether it has a port.
func Exists(w interpret.World, service ir.Name, port int32) (there, hasPort bool) {
	_, there = w.Services[service]
	_, hasPort = w.Port(ir.ServicePort{Service: service, Port: port})
	return there, hasPort
}

// Sent is a request as its backends see it, after the edits and the rewrite of a
// rule. A path's prefix is that of the match that holds.
func Sent(q semantics.Request, r *Rule, prefix string) semantics.Sent {
	out := semantics.Sent{Path: q.Path, Headers: semantics.Edited(q.Headers, r.Edits.Request), Response: r.Edits.Response}
	if w := r.Rewrite; w != nil {
		out.Path = Replace(q.Path, w.Path, prefix)
		if w.Host != "" {
			out.Headers = maps.Clone(out.Headers)
			if out.Headers == nil {
				out.Headers = map[string][]string{}
			}
			out.Headers["host"] = []string{w.Host}
		}
	}
	if h := out.Headers["host"]; len(h) > 0 {
		out.Host = h[0]
	}
	return out
}

// Replace replaces the path of a request target, or its prefix. The query stays.
func Replace(target string, e *ir.PathEdit, prefix string) string {
	if e == nil {
		return target
	}
	path, query, asked := strings.Cut(target, "?")
	rest := ""
	if e.Prefix {
		rest = strings.TrimPrefix(path, strings.TrimRight(prefix, "/"))
	}
	if path = e.Value; e.Prefix { // by elements: slashes at its end do not count
		path = strings.TrimRight(e.Value, "/") + rest
	}
	if path == "" {
		path = "/"
	}
	if asked {
		path += "?" + query
	}
	return path
}

// WellKnown is the port that a scheme implies.
var WellKnown = map[string]int32{"http": 80, "https": 443}

// Authority writes a host with its port, unless the scheme implies that.
func Authority(scheme, host string, port int32) string {
	if port == 0 || port == WellKnown[scheme] {
		return host
	}
	return fmt.Sprintf("%s:%d", host, port)
}

// Host is the host that a request asks for, without its port.
func Host(q semantics.Request) string {
	if h := q.Headers["host"]; len(h) > 0 {
		host, _, _ := strings.Cut(strings.ToLower(h[0]), ":")
		return host
	}
	return ""
}

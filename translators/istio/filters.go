package istio

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// untouched reports whether a route passes requests on as they are.
func untouched(r ir.Route) bool {
	return !r.Answers() && r.Rewrite == nil && r.RequestHeaders == nil && r.ResponseHeaders == nil &&
		len(r.Mirrors) == 0 && timeoutOf(r) == 0 && !slices.ContainsFunc(r.Backends, ownEdits)
}

func ownEdits(b ir.Backend) bool { return b.RequestHeaders != nil || b.ResponseHeaders != nil }

// filterRefs lists the places that speak of anything but matches and backends.
func filterRefs(r ir.Route) []report.Ref {
	var refs []report.Ref
	if r.Redirect != nil {
		refs = append(refs, r.Redirect.Ref)
	}
	if r.Rewrite != nil {
		refs = append(refs, r.Rewrite.Ref)
	}
	if r.Timeout != nil {
		refs = append(refs, r.Timeout.Ref)
	}
	edits := []*ir.HeaderEdit{r.RequestHeaders, r.ResponseHeaders}
	for _, b := range r.Backends {
		edits = append(edits, b.RequestHeaders, b.ResponseHeaders)
	}
	for _, e := range edits {
		if e != nil {
			refs = append(refs, e.Ref)
		}
	}
	for _, m := range r.Mirrors {
		refs = append(refs, m.Ref)
	}
	return refs
}

// onTheWay writes what is done with requests that are passed on.
func (m mesh) onTheWay(route object, r ir.Route, p part, good []ir.Backend, port int32) report.Report {
	if rewrite := rewriteOf(r, p); len(rewrite) > 0 {
		route["rewrite"] = rewrite
	}
	if d := timeoutOf(r); d > 0 {
		route["timeout"] = seconds(d)
	}
	found := writeHeaders(route, r, good)
	mirrors, f := m.mirrors(r, port)
	if len(mirrors) > 0 {
		route["mirrors"] = mirrors
	}
	return append(found, f...)
}

func rewriteOf(r ir.Route, p part) object {
	out := object{}
	if r.RequestHeaders != nil {
		for _, h := range slices.Concat(r.RequestHeaders.Add, r.RequestHeaders.Set) {
			if h.Name == "host" {
				out["authority"] = h.Value
			}
		}
	}
	if r.Rewrite == nil {
		return out
	}
	if r.Rewrite.Host != "" {
		out["authority"] = r.Rewrite.Host
	}
	switch {
	case p.path.how == pathPrefix, p.path.how == pathWhole && !slices.ContainsFunc(p.matches, notExact):
		out["uri"] = p.path.value
	case p.path.how == pathWhole:
		// A plain rewrite would replace what the match says and keep the rest.
		out["uriRegexRewrite"] = object{"match": "/.*", "rewrite": strings.ReplaceAll(p.path.value, `\`, `\\`)}
	}
	return out
}

func notExact(m ir.Match) bool { return m.Path.Kind != ir.MatchExact }

// redirect writes another place to ask.
func redirect(r ir.Redirect, path replaced) object {
	out := object{"redirectCode": int64(r.Status)}
	if r.Scheme != "" {
		out["scheme"] = r.Scheme
	}
	if r.Host != "" {
		out["authority"] = r.Host
	}
	switch {
	case r.Port != 0:
		out["port"] = int64(r.Port)
	case r.Scheme != "":
		out["derivePort"] = "FROM_PROTOCOL_DEFAULT"
	default:
		out["derivePort"] = "FROM_REQUEST_PORT"
	}
	switch path.how {
	case pathWhole:
		out["uri"] = path.value
	case pathPrefix:
		out["prefixRewrite"] = path.value
	}
	return out
}

// timeoutOf returns when a request is ended, or zero. Without retries one
// attempt is all there is, so the shorter of the two times counts.
func timeoutOf(r ir.Route) time.Duration {
	if r.Timeout == nil {
		return 0
	}
	d := r.Timeout.Request
	if b := r.Timeout.Backend; b > 0 && (d == 0 || b < d) {
		d = b
	}
	// Istio takes whole milliseconds; what is shorter would be refused.
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}

func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}

// mirrors writes who gets copies. A backend that is not there gets none.
func (m mesh) mirrors(r ir.Route, port int32) ([]any, report.Report) {
	var out []any
	var found report.Report
	for _, c := range r.Mirrors {
		if c.Backend.Invalid != "" || c.Numerator == 0 {
			continue
		}
		one := object{"destination": m.destination(c.Backend, port)}
		if c.Numerator < c.Denominator {
			percent, exact := percentage(uint64(c.Numerator), uint64(c.Denominator))
			one["percentage"] = object{"value": percent}
			if !exact {
				found = append(found, rounded(c.Ref, "the share that is mirrored is rounded to 0.0001 percent"))
			}
		}
		out = append(out, one)
	}
	if _, missing, _ := shares(r); missing > 0 && len(out) > 0 {
		found = append(found, report.New(report.Lossy, r.Ref, "the share that fails for want of a backend is not mirrored").WithClass(report.Approximated))
	}
	return out, found
}

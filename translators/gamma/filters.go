package gamma

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// maxEdits is how many headers one filter sets, adds or removes.
const maxEdits = 16

// maxFilters is how many filters a rule, or a backend, has.
const maxFilters = 16

// filters writes what is done with the requests of a route on their way.
func (w *writer) filters(r ir.Route) []any {
	out := w.headerFilters(r.RequestHeaders, r.ResponseHeaders)
	if r.Redirect != nil {
		return append(out, redirect(*r.Redirect))
	}
	if r.Rewrite != nil {
		rewrite := object{}
		if r.Rewrite.Host != "" {
			rewrite["hostname"] = r.Rewrite.Host
		}
		if p := r.Rewrite.Path; p != nil {
			rewrite["path"] = pathEdit(*p)
		}
		out = append(out, object{"type": "URLRewrite", "urlRewrite": rewrite})
	}
	for _, m := range r.Mirrors {
		if m.Backend.Invalid != "" { // nothing is copied to it
			continue
		}
		if len(out) == maxFilters {
			w.add(report.New(report.Lossy, m.Ref, fmt.Sprintf("a rule has %d filters at most: nothing is mirrored to %s", maxFilters, m.Backend.Service)).WithClass(report.Dropped))
			continue
		}
		out = append(out, w.mirror(m))
	}
	return out
}

func (w *writer) headerFilters(request, response *ir.HeaderEdit) []any {
	var out []any
	if e := w.headerEdit(request); e != nil {
		out = append(out, object{"type": "RequestHeaderModifier", "requestHeaderModifier": e})
	}
	if e := w.headerEdit(response); e != nil {
		out = append(out, object{"type": "ResponseHeaderModifier", "responseHeaderModifier": e})
	}
	return out
}

func (w *writer) headerEdit(e *ir.HeaderEdit) object {
	if e == nil {
		return nil
	}
	out := object{}
	if set := w.headers(e.Set, e.Ref); len(set) > 0 {
		out["set"] = set
	}
	if add := w.headers(e.Add, e.Ref); len(add) > 0 {
		out["add"] = add
	}
	var remove []any
	for _, n := range e.Remove {
		remove = append(remove, n)
	}
	if len(remove) > maxEdits {
		w.add(report.New(report.Lossy, e.Ref, fmt.Sprintf("a filter removes %d headers at most, the last %d stay", maxEdits, len(remove)-maxEdits)).WithClass(report.Dropped))
		remove = remove[:maxEdits]
	}
	if len(remove) > 0 {
		out["remove"] = remove
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (w *writer) headers(all []ir.Header, at report.Ref) []any {
	var out []any
	for _, h := range all {
		if !fieldName.MatchString(h.Name) || !fieldValue.MatchString(h.Value) || len(h.Value) > maxHeaderValue || len(out) == maxEdits {
			w.add(report.New(report.Lossy, at, fmt.Sprintf("header %s is left out: Gateway API takes no such value, or no more than %d headers", h.Name, maxEdits)).WithClass(report.Dropped))
			continue
		}
		out = append(out, object{"name": h.Name, "value": h.Value})
	}
	return out
}

func redirect(r ir.Redirect) object {
	out := object{"statusCode": int64(r.Status)}
	if r.Scheme != "" {
		out["scheme"] = r.Scheme
	}
	if r.Host != "" {
		out["hostname"] = r.Host
	}
	if r.Port != 0 {
		out["port"] = int64(r.Port)
	}
	if r.Path != nil {
		out["path"] = pathEdit(*r.Path)
	}
	return object{"type": "RequestRedirect", "requestRedirect": out}
}

func pathEdit(p ir.PathEdit) object {
	if p.Prefix {
		return object{"type": "ReplacePrefixMatch", "replacePrefixMatch": p.Value}
	}
	return object{"type": "ReplaceFullPath", "replaceFullPath": p.Value}
}

// editsPrefix reports whether a route replaces the prefix that its match names.
func editsPrefix(r ir.Route) bool {
	return r.Rewrite != nil && r.Rewrite.Path != nil && r.Rewrite.Path.Prefix ||
		r.Redirect != nil && r.Redirect.Path != nil && r.Redirect.Path.Prefix
}

func (w *writer) mirror(m ir.Mirror) object {
	to := w.backendRef(m.Backend)
	out := object{"backendRef": to}
	n, d := uint64(m.Numerator), uint64(m.Denominator)
	if g := manifest.CommonDivisor(n, d); g > 1 {
		n, d = n/g, d/g
	}
	switch {
	case d > math.MaxInt32:
		w.add(report.New(report.Lossy, m.Ref, fmt.Sprintf("the share %d of %d is rounded to millionths", m.Numerator, m.Denominator)).WithClass(report.Approximated))
		out["fraction"] = object{"numerator": int64(max(n*maxWeight/d, 1)), "denominator": int64(maxWeight)}
	case n < d && 100%d == 0:
		out["percent"] = int64(n * 100 / d)
	case n < d:
		out["fraction"] = object{"numerator": int64(n), "denominator": int64(d)}
	}
	return object{"type": "RequestMirror", "requestMirror": out}
}

// timeouts writes what a route says of time; none for nothing.
func (w *writer) timeouts(t *ir.Timeout) object {
	if t == nil || t.Request <= 0 && t.Backend <= 0 {
		return nil
	}
	out := object{}
	if t.Request > 0 {
		out["request"] = w.duration(t.Request, t.Ref)
	}
	if t.Backend > 0 {
		out["backendRequest"] = w.duration(t.Backend, t.Ref)
	}
	return out
}

// maxDuration is what four units of five digits hold.
const maxDuration = 99_999*time.Hour + 59*time.Minute + 59*time.Second + 999*time.Millisecond

// duration writes a time in hours, minutes, seconds and milliseconds.
func (w *writer) duration(d time.Duration, at report.Ref) string {
	whole := min((d+time.Millisecond-1)/time.Millisecond*time.Millisecond, maxDuration)
	if whole != d {
		w.add(report.New(report.Lossy, at, fmt.Sprintf("the time %s is written as %s", d, whole)).WithClass(report.Approximated))
	}
	var out string
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := whole / unit.of; n > 0 {
			out += fmt.Sprintf("%d%s", n, unit.name)
			whole -= n * unit.of
		}
	}
	return out
}

// plainly reports whether a route does nothing with requests but pass them on.
func plainly(r ir.Route) bool {
	return !r.Answers() && r.Rewrite == nil && r.RequestHeaders == nil && r.ResponseHeaders == nil && len(r.Mirrors) == 0 &&
		(r.Timeout == nil || r.Timeout.Request <= 0 && r.Timeout.Backend <= 0) &&
		!slices.ContainsFunc(r.Backends, func(b ir.Backend) bool { return b.RequestHeaders != nil || b.ResponseHeaders != nil })
}

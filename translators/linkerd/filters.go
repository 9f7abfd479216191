package linkerd

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// action writes what becomes of the requests of a route, or nothing where that
// cannot be said.
func (r routed) action(one ir.Route) (object, report.Report) {
	switch {
	case one.Redirect != nil:
		filter, why := redirect(*one.Redirect)
		if why != "" {
			return nil, report.Report{lossy(one.Redirect.Ref, report.Dropped, why)}
		}
		var found report.Report
		if e := one.ResponseHeaders; e != nil { // its proxies edit what a backend answers
			found = append(found, lossy(e.Ref, report.Dropped, "Linkerd does not edit the headers of a redirect"))
		}
		return object{"filters": []any{filter}}, found
	case one.Status != 0 && one.Status != 500:
		return nil, report.Report{lossy(one.Ref, report.Dropped, fmt.Sprintf(
			"Linkerd answers with status 404 where no rule is fulfilled and 500 where a backend is missing, and never with %d", one.Status))}
	}
	backends, found := r.backends(one)
	out := object{"backendRefs": backends}
	filters, f := headerFilters(one.RequestHeaders, one.ResponseHeaders)
	if found = append(found, f...); len(filters) > 0 {
		out["filters"] = filters
	}
	if one.Timeout != nil && one.Timeout.Request > 0 {
		out["timeouts"] = object{"request": duration(one.Timeout.Request)}
	}
	return out, found
}

// duration writes a time in whole milliseconds, of which the largest unit that
// fits comes first.
func duration(d time.Duration) string {
	ms := max(1, d.Round(time.Millisecond).Milliseconds())
	var b strings.Builder
	for _, unit := range []struct {
		name string
		ms   int64
	}{{"h", 3_600_000}, {"m", 60_000}, {"s", 1000}, {"ms", 1}} {
		if n := ms / unit.ms; n > 0 {
			fmt.Fprintf(&b, "%d%s", min(n, 99_999), unit.name)
			ms %= unit.ms
		}
	}
	return b.String()
}

// headerFilters writes the edits of a request and of its answer.
func headerFilters(request, response *ir.HeaderEdit) ([]any, report.Report) {
	var out []any
	var found report.Report
	add := func(kind, field string, e *ir.HeaderEdit) {
		if e == nil {
			return
		}
		o, f := headerEdit(*e)
		if found = append(found, f...); len(o) > 0 {
			out = append(out, object{"type": kind, field: o})
		}
	}
	add("RequestHeaderModifier", "requestHeaderModifier", request)
	add("ResponseHeaderModifier", "responseHeaderModifier", response)
	return out, found
}

func headerEdit(e ir.HeaderEdit) (object, report.Report) {
	out := object{}
	var found report.Report
	for _, list := range []struct {
		field   string
		headers []ir.Header
	}{{"set", e.Set}, {"add", e.Add}} {
		var said []any
		for _, h := range list.headers {
			if !plainName.MatchString(h.Name) || !plainValue.MatchString(h.Value) || len(h.Value) > maxHeaderValue || len(said) == maxConditions {
				found = append(found, lossy(e.Ref, report.Dropped, fmt.Sprintf("a route cannot write the header %s with this value", h.Name)))
				continue
			}
			said = append(said, object{"name": h.Name, "value": h.Value})
		}
		if len(said) > 0 {
			out[list.field] = said
		}
	}
	if len(e.Remove) > maxConditions {
		found = append(found, lossy(e.Ref, report.Dropped, "a route removes 16 headers at most"))
		e.Remove = e.Remove[:maxConditions]
	}
	if len(e.Remove) > 0 {
		out["remove"] = manifest.Anys(e.Remove)
	}
	return out, found
}

// wellKnown is the port that a scheme implies.
var wellKnown = map[string]int32{"http": 80, "https": 443}

// redirect writes where else to ask. A scheme brings its port along, for Linkerd
// would keep the one that was called.
func redirect(r ir.Redirect) (object, string) {
	o := object{"statusCode": int64(r.Status)}
	if r.Scheme != "" {
		o["scheme"] = r.Scheme
	}
	if r.Host != "" {
		o["hostname"] = r.Host
	}
	port := r.Port
	if port == 0 {
		port = wellKnown[r.Scheme]
	}
	if port != 0 {
		o["port"] = int64(port)
	}
	switch {
	case r.Path == nil:
	case r.Path.Prefix:
		return nil, "Linkerd's proxies refuse to replace the beginning of a path in a redirect"
	case !strings.HasPrefix(r.Path.Value, "/") || len(r.Path.Value) > maxPathValue:
		return nil, "a redirect takes an absolute path of 1024 characters at most"
	default:
		o["path"] = object{"type": "ReplaceFullPath", "replaceFullPath": r.Path.Value}
	}
	return object{"type": "RequestRedirect", "requestRedirect": o}, ""
}

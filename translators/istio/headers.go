package istio

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// writeHeaders writes the edits of headers on the route or, where a backend has
// edits of its own, on every destination: Envoy edits for the destination first,
// so what is said in both places would end in the wrong order.
func writeHeaders(route object, r ir.Route, good []ir.Backend) report.Report {
	if !slices.ContainsFunc(good, ownEdits) {
		if edits, _ := headers(r.RequestHeaders, nil, r.ResponseHeaders, nil); len(edits) > 0 {
			route["headers"] = edits
		}
		return nil
	}
	var found report.Report
	for i, d := range route["route"].([]any) {
		edits, joined := headers(r.RequestHeaders, good[i].RequestHeaders, r.ResponseHeaders, good[i].ResponseHeaders)
		if len(edits) > 0 {
			d.(object)["headers"] = edits
		}
		if joined {
			found = append(found, report.New(report.Lossy, good[i].Ref,
				"route and backend add lines to one header: Istio adds one line, with a comma between the two values").WithClass(report.Approximated).With(r.Ref))
		}
	}
	return found
}

// headers writes edits of request and response, each made of two that are done
// one after the other. It reports whether two lines of a header became one.
func headers(request, thenRequest, response, thenResponse *ir.HeaderEdit) (out object, joined bool) {
	out = object{}
	for _, one := range []struct {
		field       string
		first, then *ir.HeaderEdit
	}{{"request", request, thenRequest}, {"response", response, thenResponse}} {
		var e edit
		e.do(one.first)
		e.do(one.then)
		joined = joined || e.joined
		if o := e.write(); len(o) > 0 {
			out[one.field] = o
		}
	}
	return out, joined
}

// edit is what Istio does to headers: it removes, then sets, then adds, and has
// one value to set and one to add for a name.
type edit struct {
	set, add map[string]string
	remove   []string
	joined   bool
}

// do lets an edit follow on what is there.
func (e *edit) do(next *ir.HeaderEdit) {
	if next == nil {
		return
	}
	if e.set == nil {
		e.set, e.add = map[string]string{}, map[string]string{}
	}
	for _, n := range next.Remove {
		delete(e.set, n)
		delete(e.add, n)
		e.remove = append(e.remove, n)
	}
	for _, h := range next.Set {
		delete(e.add, h.Name)
		e.set[h.Name] = h.Value
	}
	for _, h := range next.Add {
		before, ok := e.add[h.Name]
		if e.add[h.Name] = h.Value; ok {
			e.add[h.Name], e.joined = before+","+h.Value, true
		}
	}
}

func (e *edit) write() object {
	out := object{}
	for field, values := range map[string]map[string]string{"set": e.set, "add": e.add} {
		o := object{}
		for _, n := range slices.Sorted(maps.Keys(values)) {
			if editable(n) {
				o[n] = strings.ReplaceAll(values[n], "%", "%%") // or Envoy would read a variable
			}
		}
		if len(o) > 0 {
			out[field] = o
		}
	}
	slices.Sort(e.remove)
	if names := slices.DeleteFunc(slices.Compact(e.remove), func(n string) bool { return !editable(n) }); len(names) > 0 {
		out["remove"] = manifest.Anys(names)
	}
	return out
}

// editable: Istio refuses an object that edits the host, or what HTTP/2 carries
// beside the headers.
func editable(name string) bool { return name != "host" && !strings.HasPrefix(name, ":") }

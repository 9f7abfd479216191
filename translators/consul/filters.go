package consul

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
)

// rewritten writes what takes the place of the path that a condition compares
// with. It reports false where there is nothing to replace, or where Consul
// would replace something else.
func rewritten(e *ir.PathEdit, m ir.StringMatch, condition object) (string, bool) {
	if e == nil || !e.Prefix {
		return "", false
	}
	base := strings.TrimSuffix(e.Value, "/")
	switch {
	case m.Kind == ir.MatchAny:
		return base + "/", true
	case m.Kind != ir.MatchSegments:
		return "", false
	case condition["PathPrefix"] != nil: // which ends in a slash
		return base + "/", true
	case base == "":
		return "/", true
	}
	return base, true
}

// then joins an edit with one that is made after it. What both add to one header
// stands in one line, joined with a comma.
func then(first, second *ir.HeaderEdit) *ir.HeaderEdit {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	out := ir.HeaderEdit{Set: slices.Clone(second.Set), Remove: slices.Clone(second.Remove)}
	edited := names(*second)
	for _, h := range first.Set {
		if add, ok := lookup(second.Add, h.Name); ok {
			out.Set = append(out.Set, ir.Header{Name: h.Name, Value: h.Value + "," + add})
		} else if !slices.Contains(edited, h.Name) {
			out.Set = append(out.Set, h)
		}
	}
	for _, n := range first.Remove {
		if add, ok := lookup(second.Add, n); ok {
			out.Set = append(out.Set, ir.Header{Name: n, Value: add})
		} else if !slices.Contains(edited, n) {
			out.Remove = append(out.Remove, n)
		}
	}
	for _, h := range slices.Concat(first.Add, second.Add) {
		_, set := lookup(out.Set, h.Name)
		if !set && !slices.Contains(out.Remove, h.Name) {
			out.Add = append(out.Add, h)
		}
	}
	return &out
}

func names(e ir.HeaderEdit) []string {
	out := slices.Clone(e.Remove)
	for _, h := range slices.Concat(e.Set, e.Add) {
		out = append(out, h.Name)
	}
	return out
}

func lookup(all []ir.Header, name string) (string, bool) {
	var values []string
	for _, h := range all {
		if h.Name == name {
			values = append(values, h.Value)
		}
	}
	return strings.Join(values, ","), len(values) > 0
}

// edits puts header edits into a route's destination or into a split.
func edits(o object, request, response *ir.HeaderEdit) object {
	for field, e := range map[string]*ir.HeaderEdit{"RequestHeaders": request, "ResponseHeaders": response} {
		if e == nil {
			continue
		}
		m := object{}
		if len(e.Set) > 0 {
			m["Set"] = values(e.Set)
		}
		if len(e.Add) > 0 {
			m["Add"] = values(e.Add)
		}
		if len(e.Remove) > 0 {
			m["Remove"] = manifest.Anys(slices.Sorted(slices.Values(e.Remove)))
		}
		if len(m) > 0 {
			o[field] = m
		}
	}
	return o
}

func values(all []ir.Header) object {
	out := object{}
	for _, h := range all {
		out[h.Name], _ = lookup(all, h.Name)
	}
	return out
}

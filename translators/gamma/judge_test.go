package gamma

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/semantics"
)

// judge decides requests on route objects as Gateway API's specification says,
// and where it leaves the choice as some mesh does. It shares nothing with the
// translator.
type judge struct {
	objects []object
	// rank of a matched path: the greater goes first.
	rank func(kind, value, path string) (int, int)
	// methodLast: a method counts after headers and query parameters.
	methodLast bool
}

// meshes are the ways in which known meshes rank matches.
var meshes = map[string]judge{
	"istio": {rank: func(kind, value, _ string) (int, int) {
		return kinds(kind, "Exact", "PathPrefix", "RegularExpression"), len(value)
	}},
	"envoy-gateway": {rank: func(kind, value, _ string) (int, int) {
		return kinds(kind, "Exact", "RegularExpression", "PathPrefix"), len(value)
	}},
	"linkerd": {methodLast: true, rank: func(kind, value, path string) (int, int) {
		if kind == "PathPrefix" {
			return 0, len(value)
		}
		return 0, len(path)
	}},
}

func kinds(kind string, order ...string) int { return len(order) - slices.Index(order, kind) }

func (j judge) on(out []translators.Artifact) judge {
	for _, a := range out {
		j.objects = append(j.objects, a.Payload.(object))
	}
	return j
}

func list(o object, field string) []object {
	in, _ := o[field].([]any)
	out := make([]object, len(in))
	for i := range in {
		out[i] = in[i].(object)
	}
	return out
}

// hit is a match that holds, with all that ranks it.
type hit struct {
	rule object
	key  []int
	name string
}

// rule returns the rule that takes a request, or nil: then it gets 404.
func (j judge) rule(q semantics.Request) object {
	var hits []hit
	for _, o := range j.objects {
		name := o["metadata"].(object)["name"].(string)
		for _, r := range list(o["spec"].(object), "rules") {
			for _, m := range list(r, "matches") {
				if key, ok := j.matches(o["kind"].(string), m, q); ok {
					hits = append(hits, hit{r, key, name})
				}
			}
		}
	}
	if len(hits) == 0 {
		return nil
	}
	return slices.MinFunc(hits, func(a, b hit) int { return cmp.Or(slices.Compare(b.key, a.key), cmp.Compare(a.name, b.name)) }).rule
}

func (j judge) matches(kind string, m object, q semantics.Request) ([]int, bool) {
	target, query, _ := strings.Cut(q.Path, "?")
	headers, params := list(m, "headers"), list(m, "queryParams")
	for _, h := range headers {
		lines := q.Headers[strings.ToLower(h["name"].(string))]
		if !slices.ContainsFunc(lines, func(l string) bool { return compares(h, l) }) {
			return nil, false
		}
	}
	for _, p := range params {
		value, ok := strings.CutPrefix(query, p["name"].(string)+"=")
		if !ok || !compares(p, value) {
			return nil, false
		}
	}
	if kind == "GRPCRoute" {
		method, _ := m["method"].(object)
		service, _ := method["service"].(string)
		name, _ := method["method"].(string)
		parts := strings.Split(target, "/")
		ok := len(parts) == 3 && (service == "" || service == parts[1]) && (name == "" || name == parts[2])
		return []int{len(service), len(name), len(headers)}, ok
	}
	method, named := m["method"].(string)
	if named && method != q.Method {
		return nil, false
	}
	path := m["path"].(object)
	by, value := path["type"].(string), path["value"].(string)
	class, length := j.rank(by, value, target)
	one := 0
	if named {
		one = 1
	}
	key := []int{class, length, one, len(headers), len(params)}
	if j.methodLast {
		key = []int{class, length, len(headers), len(params), one}
	}
	return key, pathHolds(by, value, target)
}

func pathHolds(kind, value, path string) bool {
	switch kind {
	case "Exact":
		return path == value
	case "PathPrefix":
		value = strings.TrimSuffix(value, "/")
		return path == value || strings.HasPrefix(path, value+"/")
	}
	return regexp.MustCompile("^(?:" + value + ")$").MatchString(path)
}

func compares(m object, s string) bool {
	if m["type"] == "Exact" {
		return m["value"] == s
	}
	return regexp.MustCompile("^(?:" + m["value"].(string) + ")$").MatchString(s)
}

package istio

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/semantics"
)

// judge decides requests on what was made as an Istio proxy would, read from
// Istio's own sources: it shares nothing with the translator.
type judge struct{ objects []object }

func judgeOf(out []translators.Artifact) judge {
	var j judge
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

func texts(o object, field string) []string {
	in, _ := o[field].([]any)
	out := make([]string, len(in))
	for i := range in {
		out[i] = in[i].(string)
	}
	return out
}

// admits decides at the pods with some labels. A policy without a match for a
// pod does not concern it; one that concerns it closes what it does not allow.
func (j judge) admits(namespace string, labels map[string]string, q semantics.Request, http bool) bool {
	closed := false
	for _, o := range j.objects {
		spec := o["spec"].(object)
		if o["metadata"].(object)["namespace"] != namespace || !selects(spec, labels) {
			continue
		}
		if o["kind"] == "PeerAuthentication" && spec["mtls"].(object)["mode"] == "STRICT" && q.From == nil {
			return false
		}
	}
	for _, o := range j.objects {
		spec := o["spec"].(object)
		if o["kind"] != "AuthorizationPolicy" || o["metadata"].(object)["namespace"] != namespace || !selects(spec, labels) {
			continue
		}
		closed = true
		for _, rule := range list(spec, "rules") {
			if fulfils(rule, q, http && !q.Raw) {
				return true
			}
		}
	}
	return !closed
}

func selects(spec object, labels map[string]string) bool {
	selector, _ := spec["selector"].(object)
	match, _ := selector["matchLabels"].(object)
	for k, v := range match {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// fulfils: some source, some operation and every condition; what is not given
// holds. A rule that looks at a request is void where there is none.
func fulfils(rule object, q semantics.Request, http bool) bool {
	from := len(list(rule, "from")) == 0
	for _, f := range list(rule, "from") {
		source := f["source"].(object)
		from = from || q.From != nil && slices.ContainsFunc(texts(source, "principals"), func(p string) bool {
			return glob(p, strings.TrimPrefix(q.From.URI("cluster.local"), "spiffe://"))
		})
	}
	to := len(list(rule, "to")) == 0
	for _, t := range list(rule, "to") {
		op := t["operation"].(object)
		if !http && (op["paths"] != nil || op["methods"] != nil) {
			return false
		}
		to = to || operation(op, q)
	}
	for _, w := range list(rule, "when") {
		name := strings.TrimSuffix(strings.TrimPrefix(w["key"].(string), "request.headers["), "]")
		if name == ":authority" {
			name = "host"
		}
		if !http || !slices.ContainsFunc(q.Headers[name], func(line string) bool {
			return slices.ContainsFunc(texts(w, "values"), func(v string) bool { return v == "*" || glob(v, line) })
		}) {
			return false
		}
	}
	return from && to
}

func operation(op object, q semantics.Request) bool {
	for field, value := range map[string]string{"ports": strconv.Itoa(int(q.Port)), "methods": q.Method, "paths": base(q.Path)} {
		if op[field] != nil && !slices.ContainsFunc(texts(op, field), func(v string) bool { return glob(v, value) }) {
			return false
		}
	}
	return true
}

// glob compares as Istio's StringMatcher does.
func glob(pattern, s string) bool {
	switch {
	case pattern == "*":
		return s != ""
	case strings.HasPrefix(pattern, "*"):
		return strings.HasSuffix(s, pattern[1:])
	case strings.HasSuffix(pattern, "*"):
		return strings.HasPrefix(s, pattern[:len(pattern)-1])
	}
	return s == pattern
}

// base is the path normalisation of a default installation: dot segments are
// removed, slashes are not merged.
func base(target string) string {
	target, _, _ = strings.Cut(target, "?")
	target, _, _ = strings.Cut(target, "#")
	target = strings.NewReplacer(`\`, "/", "%2e", ".", "%2E", ".", "%61", "a").Replace(target)
	var out []string
	segments := strings.Split(target, "/")[1:]
	for i, s := range segments {
		if s == ".." && len(out) > 0 {
			out = out[:len(out)-1]
		}
		if s != "." && s != ".." {
			out = append(out, s)
		} else if i == len(segments)-1 {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

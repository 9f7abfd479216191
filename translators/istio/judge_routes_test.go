package istio

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators/semantics"
)

// outcome is what becomes of a request.
type outcome struct {
	Status   int
	Location string
	Path     string
	Host     string
	Shares   map[string]share // by host and port; "500" for what fails
	Mirrors  map[string]float64
	Timeout  time.Duration
}

// share is a part of the requests with the headers that the backend gets, and
// those of its answer that the caller gets.
type share struct {
	Percent           float64
	Request, Response lines
}

type lines = map[string][]string

// answered are the headers of every backend's answer.
func answered() lines { return lines{"server": {"s"}, "x-a": {"up"}} }

// route decides at the client. Nil: the proxy knows no route of ours.
func (j judge) route(q semantics.Request, http bool) *outcome {
	namespace, known := "", false
	if q.From != nil {
		namespace = q.From.Namespace
	}
	for _, o := range j.objects {
		if o["kind"] != "VirtualService" {
			continue
		}
		field := map[bool]string{true: "http", false: "tcp"}[http]
		for _, r := range list(o["spec"].(object), field) {
			matches := list(r, "match")
			if len(matches) == 0 {
				matches = []object{{}}
			}
			for _, m := range matches {
				// Port and namespace are looked at when the proxy is configured.
				if p, ok := m["port"].(int64); ok && int32(p) != q.Port {
					continue
				}
				if ns, ok := m["sourceNamespace"].(string); ok && ns != namespace {
					continue
				}
				if known = true; !http {
					return connected(r, q)
				}
				if requested(m, q) {
					return taken(r, m, q)
				}
			}
		}
	}
	if known {
		return &outcome{Status: 404}
	}
	return nil
}

func requested(m object, q semantics.Request) bool {
	lines := map[string][]string{"uri": {base(q.Path)}, "method": {q.Method}, "authority": q.Headers["host"]}
	for field, values := range lines {
		if sm, ok := m[field].(object); ok && !slices.ContainsFunc(values, func(v string) bool { return compare(sm, v) }) {
			return false
		}
	}
	headers, _ := m["headers"].(object)
	for name, sm := range headers {
		if !slices.ContainsFunc(q.Headers[name], func(v string) bool { return compare(sm.(object), v) }) {
			return false
		}
	}
	query, _ := m["queryParams"].(object)
	for name, sm := range query {
		if v, ok := asked(q.Path, name); !ok || !compare(sm.(object), v) {
			return false
		}
	}
	return true
}

// asked is the first occurrence of a query parameter.
func asked(target, name string) (string, bool) {
	_, query, _ := strings.Cut(target, "?")
	for _, p := range strings.Split(query, "&") {
		if k, v, _ := strings.Cut(p, "="); k == name && p != "" {
			return v, true
		}
	}
	return "", false
}

func compare(sm object, s string) bool {
	for kind, v := range sm {
		switch kind {
		case "exact":
			return s == v
		case "prefix":
			return strings.HasPrefix(s, v.(string))
		case "regex":
			return regexp.MustCompile("^(?:" + v.(string) + ")$").MatchString(s)
		}
	}
	return true
}

// taken is what an HTTP route does with a request that met one of its matches.
func taken(r, m object, q semantics.Request) *outcome {
	if d, ok := r["directResponse"].(object); ok {
		return &outcome{Status: int(d["status"].(int64))}
	}
	if d, ok := r["redirect"].(object); ok {
		return &outcome{Status: int(d["redirectCode"].(int64)), Location: location(d, m, q)}
	}
	out := &outcome{Mirrors: map[string]float64{}, Shares: map[string]share{}}
	rewrite, _ := r["rewrite"].(object)
	out.Path = repath(rewrite, m, q.Path)
	sent := maps.Clone(q.Headers)
	if host, ok := rewrite["authority"].(string); ok {
		sent["host"] = []string{host}
	}
	if h := sent["host"]; len(h) > 0 {
		out.Host = h[0]
	}
	delete(sent, "host")
	if t, ok := r["timeout"].(string); ok {
		d, err := time.ParseDuration(t)
		if err != nil || d < time.Millisecond || d%time.Millisecond != 0 {
			panic("Istio refuses a timeout of " + t)
		}
		out.Timeout = d
	}
	for _, c := range list(r, "mirrors") {
		percent := 100.0
		if p, ok := c["percentage"].(object); ok {
			percent = p["value"].(float64)
		}
		out.Mirrors[destinationName(c, q)] = percent
	}
	out.share(r, q, sent)
	return out
}

func (o *outcome) share(r object, q semantics.Request, sent lines) {
	left, total := 100.0, 0.0
	if fault, ok := r["fault"].(object); ok {
		aborted := fault["abort"].(object)["percentage"].(object)["value"].(float64)
		o.Shares["500"] = share{Percent: aborted}
		left -= aborted
	}
	all := list(r, "route")
	for _, d := range all {
		total += weight(d)
	}
	for _, d := range all {
		levels := []object{headersOf(r), headersOf(d)}
		if len(all) > 1 { // Envoy edits for the cluster first, then for the route
			slices.Reverse(levels)
		}
		one := share{left * weight(d) / total, sent, answered()}
		if len(all) == 1 { // Istio joins the two levels to one
			one.Request = edited(edited(sent, levels, "request", "remove"), levels, "request", "set", "add")
			one.Response = edited(edited(answered(), levels, "response", "remove"), levels, "response", "set", "add")
		}
		for _, l := range levels[:map[bool]int{true: len(levels)}[len(all) > 1]] {
			one.Request = edited(one.Request, []object{l}, "request", "remove", "set", "add")
			one.Response = edited(one.Response, []object{l}, "response", "remove", "set", "add")
		}
		o.Shares[destinationName(d, q)] = one
	}
}

func headersOf(o object) object { h, _ := o["headers"].(object); return h }

// edited does what the levels say of a direction, level by level.
func edited(in lines, levels []object, direction string, operations ...string) lines {
	out := maps.Clone(in)
	for _, l := range levels {
		d, _ := l[direction].(object)
		for _, op := range operations {
			for _, n := range texts(d, map[bool]string{true: op}[op == "remove"]) {
				delete(out, editableName(n))
			}
			values, _ := d[op].(object)
			for n, v := range values {
				if op == "set" {
					out[editableName(n)] = nil
				}
				out[n] = append(slices.Clone(out[n]), formatted(v.(string)))
			}
		}
	}
	return out
}

// editableName refuses what Istio's validation refuses.
func editableName(n string) string {
	if n == "host" || strings.HasPrefix(n, ":") {
		panic("Istio refuses to edit " + n)
	}
	return n
}

// formatted reads a value as Envoy does, to which a percent sign starts a variable.
func formatted(v string) string {
	if strings.Contains(strings.ReplaceAll(v, "%%", ""), "%") {
		panic("Envoy refuses the value " + v)
	}
	return strings.ReplaceAll(v, "%%", "%")
}

// repath rewrites a request target by the match that was met.
func repath(rewrite, m object, target string) string {
	path, query, ok := strings.Cut(target, "?")
	path = base(path)
	uri, _ := m["uri"].(object)
	if re, found := rewrite["uriRegexRewrite"].(object); found {
		substitution := strings.NewReplacer(`\\`, `\`).Replace(re["rewrite"].(string))
		path = regexp.MustCompile(re["match"].(string)).ReplaceAllLiteralString(path, substitution)
	} else if to, found := rewrite["uri"].(string); found {
		path = replacedBy(uri, path, to)
	}
	if ok {
		path += "?" + query
	}
	return path
}

// replacedBy replaces what a match compares with, where that is a prefix, else all.
func replacedBy(uri object, path, to string) string {
	if uri["exact"] != nil || uri["regex"] != nil {
		return to
	}
	prefix, _ := uri["prefix"].(string)
	if prefix == "" {
		prefix = "/"
	}
	return to + strings.TrimPrefix(path, prefix)
}

func location(d, m object, q semantics.Request) string {
	path, query, asked := strings.Cut(q.Path, "?")
	if to, ok := d["uri"].(string); ok {
		path = to
	} else if to, ok := d["prefixRewrite"].(string); ok {
		uri := m["uri"].(object)
		if uri["prefix"] == nil {
			panic("Istio refuses to replace the prefix of what is compared otherwise")
		}
		path = replacedBy(uri, base(path), to)
	}
	if asked {
		path += "?" + query
	}
	scheme, host, port := "http", "", int64(0)
	if s, ok := d["scheme"].(string); ok {
		scheme = s
	}
	if h := q.Headers["host"]; len(h) > 0 {
		host = h[0]
	}
	if p, ok := d["port"].(int64); ok {
		port = p
	} else if d["derivePort"] == "FROM_REQUEST_PORT" {
		port = int64(q.Port)
	}
	if a, ok := d["authority"].(string); ok {
		host = a
	}
	if port != 0 && port != map[string]int64{"http": 80, "https": 443}[scheme] {
		host, _, _ = strings.Cut(host, ":")
		host += fmt.Sprintf(":%d", port)
	}
	return scheme + "://" + host + path
}

// connected is where a connection goes.
func connected(r object, q semantics.Request) *outcome {
	out := &outcome{Shares: map[string]share{}}
	var total float64
	for _, d := range list(r, "route") {
		total += weight(d)
	}
	for _, d := range list(r, "route") {
		out.Shares[destinationName(d, q)] = share{Percent: 100 * weight(d) / total}
	}
	return out
}

func destinationName(d object, q semantics.Request) string {
	destination := d["destination"].(object)
	if destination["host"] == nowhere {
		return "500"
	}
	port := q.Port
	if p, ok := destination["port"].(object); ok {
		port = int32(p["number"].(int64))
	}
	return destination["host"].(string) + ":" + strconv.Itoa(int(port))
}

func weight(d object) float64 {
	if w, ok := d["weight"].(int64); ok {
		return float64(w)
	}
	return 1
}

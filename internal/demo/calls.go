package demo

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

const (
	namespace   = "shop"
	trustDomain = "cluster.local"
	servicePort = 9080
	targetPort  = 8080
)

// The accounts that call, and those that answer.
var (
	callers = []string{"web", "cart", "admin"}
	servers = []string{"reviews-v1", "reviews-v2"}
)

// call is a kind of call, made many times over.
type call struct {
	from    string // an account, or "" for nobody
	method  string
	headers map[string]string
	// straight: to the pods of reviews-v1, without a proxy or identity.
	straight bool
	// parts of all requests, in per cent.
	parts int
}

// calls are the rows of the table; their parts are 100.
func calls() []call {
	const get, remove = "/shop.Reviews/Get", "/shop.Reviews/Delete"
	return []call{
		{from: "web", method: get, parts: 40},
		{from: "web", method: get, headers: map[string]string{"x-beta": "true"}, parts: 10},
		{from: "web", method: remove, parts: 10},
		{from: "cart", method: get, parts: 5},
		{from: "cart", method: get, headers: map[string]string{"x-purpose": "checkout"}, parts: 25},
		{from: "admin", method: get, parts: 5},
		{method: get, straight: true, parts: 5},
	}
}

// String says who calls what, in a few words.
func (c call) String() string {
	if c.straight {
		return "nobody, straight to v1"
	}
	words := []string{c.from, c.method[strings.LastIndex(c.method, "/")+1:]}
	for _, name := range slices.Sorted(maps.Keys(c.headers)) {
		words = append(words, name+": "+c.headers[name])
	}
	return strings.Join(words, " ")
}

// request is the call in the words of the model.
func (c call) request() semantics.Request {
	q := semantics.Request{Port: servicePort, Service: ir.Name{Namespace: namespace, Name: "reviews"},
		Method: "POST", Path: c.method, Headers: map[string][]string{}}
	for name, value := range c.headers {
		q.Headers[name] = []string{value}
	}
	if c.straight {
		q.Service, q.Workload, q.Port = ir.Name{}, ir.Name{Namespace: namespace, Name: servers[0]}, targetPort
		return q
	}
	q.From = &ir.Identity{Namespace: namespace, Account: c.from}
	return q
}

// share is an outcome and how likely it is.
type share struct {
	outcome string
	part    float64 // 0 to 1
}

// expected is what the policy means for a call: the outcomes by name.
func expected(m semantics.Model, c call) []share {
	d := m.Decide(c.request())
	parts := map[string]float64{}
	for _, s := range d.Shares {
		switch {
		case s.Invalid != "":
			parts[outcomeFailed] += s.Percent / 100
		case !s.Allowed:
			parts[outcomeDenied] += s.Percent / 100
		default:
			parts[s.Service.Name] += s.Percent / 100
		}
	}
	if len(d.Shares) == 0 {
		outcome := outcomeDenied
		if d.Verdict == semantics.Allow {
			outcome = servers[0]
		}
		parts[outcome] = 1
	}
	var out []share
	for outcome, part := range parts {
		out = append(out, share{outcome, part})
	}
	slices.SortFunc(out, func(a, b share) int { return cmp.Compare(a.outcome, b.outcome) })
	return out
}

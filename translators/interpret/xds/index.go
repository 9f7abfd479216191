// Package xds reads what Envoy and gRPC have in common: comparisons of strings
// and headers, conditions of routes, rules of access, and which resource a proxy
// gets of those that share a name.
package xds

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// Index is resources by name, with those that are for some proxies only.
type Index[T any] map[string]map[ir.Audience]Entry[T]

// Entry is a resource and the artifact that it was read from.
type Entry[T any] struct {
	ID    translators.ID
	Value T
}

// Add adds a resource.
func (x Index[T]) Add(a translators.Artifact, value T) {
	if x[a.ID.Name] == nil {
		x[a.ID.Name] = map[ir.Audience]Entry[T]{}
	}
	x[a.ID.Name][a.Audience] = Entry[T]{a.ID, value}
}

// For returns what a proxy gets under a name: the resource whose audience is the
// narrowest that the proxy is in. The zero identity is a proxy of nobody's.
func (x Index[T]) For(name string, proxy ir.Identity) (Entry[T], bool) {
	named := x[name]
	for _, a := range Audiences(proxy) {
		if e, ok := named[a]; ok {
			return e, true
		}
	}
	return Entry[T]{}, false
}

// Audiences lists the audiences that a proxy is in, the narrowest first.
func Audiences(proxy ir.Identity) [4]ir.Audience {
	return [4]ir.Audience{{Namespace: proxy.Namespace, Account: proxy.Account}, {Namespace: proxy.Namespace}, {Account: proxy.Account}, {}}
}

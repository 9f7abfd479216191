package istio

import "github.com/meshknot/meshknot/translators/ir"

// place is where a route holds: on a port of the Service, for the callers of a
// namespace. Istio leaves a match for another namespace out of what it tells a
// proxy, so that a proxy has the routes of its own namespace before, and in fact
// instead of, those of everybody.
type place struct {
	port      int32
	namespace string // empty: callers of every namespace
}

// write says in a match where it holds. It reports whether there was anything
// to say.
func (p place) write(match object) bool {
	if p.port != ir.AnyPort {
		match["port"] = int64(p.port)
	}
	if p.namespace != "" {
		match["sourceNamespace"] = p.namespace
	}
	return p.port != ir.AnyPort || p.namespace != ""
}

// unmatched ends the routes of a view, so that its callers never come to those
// of everybody.
func unmatched(at place) object {
	match := object{}
	at.write(match)
	return object{"name": "unmatched", "match": []any{match}, "directResponse": object{"status": int64(404)}}
}

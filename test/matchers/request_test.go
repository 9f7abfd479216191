package matchers

import "slices"

// The names of the header and the parameter that sources look at.
const (
	headerName = "x-h"
	queryName  = "q"
)

// request is what interpreters decide about. What it has not, is absent.
type request struct {
	path   string
	values map[part]string // of the header and of the query parameter
}

// ask makes a request in which one part has a value.
func ask(in part, value string) request {
	if in == inPath {
		return request{path: value}
	}
	return request{"/other", map[part]string{in: value}}
}

// condition is one comparison in a mesh's own language.
type condition func(request) bool

func on(in part, compare func(string) bool) condition {
	return func(q request) bool {
		if in == inPath {
			return compare(q.path)
		}
		v, ok := q.values[in]
		return ok && compare(v)
	}
}

// every condition holds.
func every(all []condition) condition {
	return func(q request) bool {
		return !slices.ContainsFunc(all, func(c condition) bool { return !c(q) })
	}
}

// some condition holds.
func some(all []condition) condition {
	return func(q request) bool {
		return slices.ContainsFunc(all, func(c condition) bool { return c(q) })
	}
}

func not(c condition) condition { return func(q request) bool { return !c(q) } }

func always(request) bool { return true }

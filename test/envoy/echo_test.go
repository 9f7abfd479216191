package envoy_test

import (
	"testing"

	"github.com/meshknot/meshknot/test/lab"
)

// times counts the requests that a process heard for a path.
func times(e *lab.Echo, path string) int {
	n := 0
	for _, h := range e.Requests() {
		if h.Path == path {
			n++
		}
	}
	return n
}

// exchange sends a request word for word in plain text, and hears the whole answer.
func exchange(t *testing.T, port int32, request string) lab.Reply {
	t.Helper()
	r, err := lab.Converse(lab.Local(port), nil, request)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return r
}

package xds

import (
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/meshknot/meshknot/translators"
)

// awaited counts, for a name of endpoints in a back end, the clusters that wait
// for them and the variants that there are. A proxy is held up by a cluster whose
// endpoints do not come, so where there is none everybody is told that they are
// none: an empty list stands in for what is missing.
type awaited struct{ clusters, variants int }

func (a awaited) missing() bool { return a.clusters > 0 && a.variants == 0 }

// await counts what a place held and what it holds from now on.
func (s *Server) await(at place, old, r *resource) {
	count := func(name string, clusters, variants int) {
		key := place{backend: at.backend, name: name, kind: endpoints}
		before := s.awaited[key]
		after := awaited{before.clusters + clusters, before.variants + variants}
		if s.awaited[key] = after; after == (awaited{}) {
			delete(s.awaited, key)
		}
		if before.missing() != after.missing() {
			s.late[key] = struct{}{}
		}
	}
	for i, held := range [2]*resource{r, old} {
		n := 1 - 2*i // what it holds comes first, so that nothing goes between
		switch {
		case held == nil:
		case at.kind == endpoints:
			count(at.name, 0, n)
		case at.kind == clusters:
			for _, name := range held.children {
				count(name, n, 0)
			}
		}
	}
}

// wanted is what a place is to hold; nil for nothing.
func (s *Server) wanted(at place) *resource {
	if r := s.want[at]; r != nil || !s.awaited[at].missing() {
		return r
	}
	r, err := encode(translators.Artifact{ID: translators.ID{Type: endpoints.url(), Name: at.name},
		Payload: &endpointv3.ClusterLoadAssignment{ClusterName: at.name}})
	if err != nil {
		return nil // the name came out of a message, so it fits into another
	}
	return r
}

package all

import (
	"github.com/meshknot/meshknot/translators/gatewayapi"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// ObjectStatus is the status of one object, as its API words it.
type ObjectStatus struct {
	// Object is the object, in Version.
	Object  report.Ref
	Version string
	Status  any
}

// Status computes the status of every object whose API has one that says what
// becomes of it. Objects in error, and routes of which no parent is known, have none.
func Status(s *input.Store) []ObjectStatus {
	var out []ObjectStatus
	r := s.Reader()
	for _, o := range s.Objects() {
		if status, ok := StatusOf(r, o); ok {
			out = append(out, ObjectStatus{o.Ref(""), o.Version, status})
		}
	}
	return out
}

// StatusOf computes the status of one object, as Status does: false for one that
// has none. It costs what the object and those that it is attached to come to.
func StatusOf(r input.Reader, o input.Object) (any, bool) { return gatewayapi.Status(r, o) }

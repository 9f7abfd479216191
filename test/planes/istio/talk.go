package istio

import (
	"errors"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Listen connects as the caller of a raw request and says nothing; it returns whom
// it is greeted by.
func (p *Plane) Listen(q semantics.Request) (string, error) {
	d, cannot, err := p.door(q)
	if err != nil || cannot != "" {
		return "", errors.Join(err, errors.New(cannot))
	}
	return lab.Greeted(lab.Local(d.port), d.id)
}

package linkerd

import (
	"errors"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
)

// New reads artifacts.
func New(_ interpret.World, _ translators.Target, _ []translators.Artifact) (interpret.Mesh, error) {
	return nil, errors.ErrUnsupported
}

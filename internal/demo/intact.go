//go:build !meshknot_broken

package demo

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
)

// pipeline is what the demonstration translates with.
func pipeline() translators.Pipeline { return all.Pipeline() }

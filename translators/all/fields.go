package all

import (
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// Fields lists the fields of the policies in a set that have to be accounted
// for on every back end: the leaves that feed a feature.
func Fields(set *input.Set) []report.Ref {
	var out []report.Ref
	for _, o := range set.Objects {
		for _, path := range o.Leaves {
			if l, ok := Leaf(o.Group, o.Kind, path); ok && len(l.Features) > 0 {
				out = append(out, o.Ref(path))
			}
		}
	}
	return out
}

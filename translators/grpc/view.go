package grpc

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// views makes the routes of the namespaces that have their own, under the name
// of everybody's.
func views(s ir.Service, p ir.Port) []translators.Artifact {
	var out []translators.Artifact
	for _, v := range p.Views {
		refs := []report.Ref{s.Ref, p.Ref}
		for _, r := range v.Routes {
			refs = append(refs, r.Ref)
		}
		out = append(out, artifact(routes(s, p, v.Routes), ir.Audience{Namespace: v.Namespace}, refs...))
	}
	return out
}

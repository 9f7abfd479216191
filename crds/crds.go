// Package crds holds CustomResourceDefinitions as apiextensions v1 objects.
// Those of SMI have every released version of every kind with a schema, and the
// storage version is the latest one; each file says which versions an API server
// serves without a conversion webhook, and why not the others. Those of meshknot
// itself are generated of the types in v1alpha1.
package crds

import (
	"embed"
	"io/fs"
	"slices"
)

//go:embed *.yaml
var files embed.FS

// Files returns the manifests, one CustomResourceDefinition in each, named by
// the plural of its kind, such as "trafficsplits.yaml".
func Files() fs.FS { return files }

// Names lists the files in the order in which they are applied, which is
// alphabetical: none needs another.
func Names() []string {
	names, _ := fs.Glob(files, "*.yaml") // fails for a malformed pattern only
	slices.Sort(names)
	return names
}

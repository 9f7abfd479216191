package server

import (
	"github.com/meshknot/meshknot/bench/world"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
)

// meshknot is our own server, with its defaults.
type meshknot struct{ *xds.Server }

func newMeshknot() Server { return meshknot{xds.New(xds.Options{})} }

// backend is the one that clients say they are of.
const backend = "envoy"

func artifact(r world.Resource) translators.Artifact {
	return translators.Artifact{ID: translators.ID{Type: r.Type, Name: r.Name}, Payload: r.Message}
}

// Load implements Server.
func (m meshknot) Load(w world.World) error {
	var all []translators.Artifact
	for _, r := range w.Resources() {
		all = append(all, artifact(r))
	}
	return m.Update(xds.State{Artifacts: map[string][]translators.Artifact{backend: all}})
}

// Change implements Server.
func (m meshknot) Change(c world.Change) error {
	return m.Apply([]translators.Change{{Target: translators.Target{Backend: backend}, Put: []translators.Artifact{artifact(c.Resource())}}})
}

package controller

import (
	"context"

	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
)

// Feed tells what changes in the cluster.
type Feed interface {
	// Batches hands out changes; what nobody takes is joined.
	Batches() <-chan feed.Batch
	// State says what can be watched, and Changed that it is another now.
	State() feed.State
	Changed() <-chan struct{}
}

// Server gives proxies what a step changed, and knows what they make of it.
type Server interface {
	Apply([]translators.Change) error
	Status() xds.Status
	// OnAnswer has a function called whenever the nodes of the status may be others.
	OnAnswer(func())
}

// neighbours are the other replicas.
type neighbours interface {
	// tell says to them how the proxies of this replica are.
	tell(xds.Status)
	// accounts are what they say of theirs; false while it is not known who there is.
	accounts() (of []account, known bool)
}

// Sink takes artifacts to where a mesh reads them. Its errors are *sink.Foreign,
// *sink.Refused, *sink.Missing, or may pass.
type Sink interface {
	// List says what is in force of an owner's.
	List(ctx context.Context, owner sink.Owner) ([]sink.Stored, error)
	// Put reports whether there was anything to write.
	Put(ctx context.Context, owner sink.Owner, a translators.Artifact) (bool, error)
	// Delete reports whether there was anything of the owner's to delete.
	Delete(ctx context.Context, owner sink.Owner, id translators.ID) (bool, error)
}

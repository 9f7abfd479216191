// Package translators is the pipeline on one screen: front ends lower objects
// into units of the model, passes finish them, back ends make artifacts of them.
//
//	objects --Frontend.Keys/Lower--> ir.Unit --Pass--> ir.Unit --feature.Check--> --Backend.Translate--> Artifact
package translators

import (
	"cmp"
	"strings"

	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Target is what is translated to: a back end in a version, with its options.
type Target struct {
	// Name is what a run calls it; empty: the back end's name.
	Name    string
	Backend string
	// Version is the mesh's own minor version, such as "1.31"; empty means the
	// newest that the back end knows.
	Version string
	// TrustDomain of SPIFFE identities; "cluster.local" when empty.
	TrustDomain string
	// Options are the back end's own, documented in its package comment.
	Options map[string]string
}

// Frontend lowers objects of one API into units. Its methods are pure: what
// they may know is what the reader answers.
type Frontend interface {
	Name() string
	// Schemas lists the kinds and versions that the front end reads.
	Schemas() []input.Schema
	// Keys lists the units that an object concerns.
	Keys(o input.Object, r input.Reader) []ir.Key
	// Lower adds to unit u, whose key is set, what the API says of it.
	Lower(r input.Reader, u *ir.Unit) report.Report
}

// Pass finishes a unit after all front ends have lowered theirs.
type Pass struct {
	Name string
	// Why says in a line why the pass stands at its place.
	Why string
	Run func(*ir.Unit) report.Report
}

// Backend makes artifacts of units. It is a pure function: the same unit and
// target give the same bytes; it keeps nothing and changes nothing it is given.
type Backend interface {
	Name() string
	// Versions lists the versions that can be targeted, newest first; nil when
	// the back end has none.
	Versions() []string
	// Supports returns the table of what the target can say.
	Supports(t Target) feature.Table
	// Translate makes the artifacts of one unit, from which everything that the
	// table refuses has been taken out already.
	Translate(u ir.Unit, t Target) ([]Artifact, report.Report)
}

// Follower is a Backend that makes little anew of a unit of which little changed.
type Follower interface {
	// Follow makes what Translate makes. It may take over parts of what it made of the
	// unit before, for the same target: memory is what it returned then, or nil. What
	// was handed out is not changed.
	Follow(u ir.Unit, t Target, memory any) (artifacts []Artifact, found report.Report, next any)
}

// Assembler is a Backend some of whose artifacts are made by several units.
type Assembler interface {
	// Assemble joins the parts that units made of one artifact, which share its ID
	// and Audience, sorted by Part and unit. It is pure as Translate is.
	Assemble(parts []Artifact) (Artifact, report.Report)
}

// Completer is a Backend whose target refuses artifacts for what others say.
type Completer interface {
	// Complete looks at all artifacts once parts are joined, sorted by rank and ID,
	// and returns those that the target takes, in any order, with a finding for
	// whatever it changed, and Effects on what it added. It is pure as Translate is.
	Complete(t Target, all []Artifact) ([]Artifact, report.Report)
}

// Option is something that can be said to a back end about its target.
type Option struct {
	// Key of Target.Options; one that ends in "." is the beginning of a family.
	Key string
	// Form of the whole "KEY=VALUE", for people.
	Form, Help string
}

// Configurable is a Backend that has options.
type Configurable interface{ Options() []Option }

// ID names an artifact within a back end. An ID has one owner for an audience,
// unless it is assembled of parts: a second unit that claims it is an error.
type ID struct {
	// Type is "group/version/Kind" of an object or the type URL of an xDS resource.
	Type string
	// Name is "namespace/name" of an object or the name of an xDS resource.
	Name string
}

// Compare orders IDs by type and name.
func (i ID) Compare(o ID) int {
	return cmp.Or(strings.Compare(i.Type, o.Type), strings.Compare(i.Name, o.Name))
}

// Slot is the place of an artifact in a back end's output, which holds one at a time.
type Slot struct {
	ID       ID
	Audience ir.Audience
}

// Compare orders slots by ID and audience.
func (s Slot) Compare(o Slot) int { return cmp.Or(s.ID.Compare(o.ID), s.Audience.Compare(o.Audience)) }

// Artifact is one piece of a mesh's configuration.
type Artifact struct {
	ID ID
	// Unit is the unit that it was made of; Run sets it.
	Unit ir.Key
	// Rank orders application, lowest first; removal runs in reverse.
	Rank int
	// Part is set for an artifact that several units make together, and says
	// what this part is about. The back end is then an Assembler.
	Part string
	// Audience says which proxies it is for. Artifacts may share an ID where their
	// audiences differ: a proxy gets the one with the narrowest.
	Audience ir.Audience
	// Payload is the object as map[string]any, or a proto.Message for xDS.
	Payload any
	// Refs are the places in the input that it says, sorted.
	Refs []report.Ref
	// Effects are what becomes of calls to one that no unit asks for and that a
	// Completer put there, or to one that an Assembler joined of units that do not
	// know of each other, as its finding says; of all others none.
	Effects []report.Effect
}

// Slot returns the place of the artifact.
func (a Artifact) Slot() Slot { return Slot{a.ID, a.Audience} }

package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/meshknot/meshknot/translators"
)

// What is written on everything that a MeshBinding put somewhere.
const (
	// ManagedByLabel and ManagedBy say that meshknot made an object.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedBy      = "meshknot"
	// PartOfLabel holds the ApplySet that an object is a member of (KEP-3659).
	PartOfLabel = "applyset.kubernetes.io/part-of"
	// DigestAnnotation holds the Digest of what was written last.
	DigestAnnotation = "meshknot.io/digest"
	// TakeOverAnnotation, with the value "true" on an object that is somebody
	// else's, lets a binding make it its own.
	TakeOverAnnotation = "meshknot.io/take-over"
	// FieldManager is who the API server says owns the fields that are written.
	FieldManager = "meshknot-controller"
)

// attempts of a write that others come in between.
const attempts = 5

// Owner is the MeshBinding whose artifacts are written.
type Owner struct {
	// Binding is its name.
	Binding string
	// UID tells it from a later one of the same name.
	UID string
	// Part is the ApplySet of a MeshBinding that is gone, whose name is not known.
	Part string
}

// part is the ApplySet that objects of an owner are members of.
func (o Owner) part() string {
	if o.Part != "" {
		return o.Part
	}
	return ApplySetID(o.Binding)
}

// Stored is an artifact that is in force.
type Stored struct {
	ID translators.ID
	// Digest is that of the artifact which was written last.
	Digest string
	// Drifted: it is not known to be what Digest promises. Somebody edited it, or
	// this process has not compared it since it started. Put compares, and writes
	// only where something differs.
	Drifted bool
}

// Digest returns what Stored.Digest is once an artifact is in force. It stands for
// the payload alone.
func Digest(a translators.Artifact) (string, error) {
	text, err := json.Marshal(a.Payload) // keys are sorted
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", a.ID.Type, a.ID.Name, err)
	}
	return digest(text), nil
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// Foreign says that the place of an artifact is taken by what somebody else made.
// That is left as it is.
type Foreign struct {
	ID translators.ID
	// Manager is who made it, as far as is known.
	Manager string
}

func (e *Foreign) Error() string {
	return fmt.Sprintf("%s exists and is managed by %s; it is left alone (mark it with %s: \"true\" to hand it over)", named(e.ID), e.Manager, TakeOverAnnotation)
}

// Refused says that an artifact is not accepted as it is. To write the same again
// is of no use, unless it is Denied.
type Refused struct {
	ID translators.ID
	// Message is in the words of who refused it.
	Message string
	// Denied: it is not for what it says, but for want of a right or by somebody's
	// policy, and may be accepted once that is another.
	Denied bool
}

func (e *Refused) Error() string { return fmt.Sprintf("%s is refused: %s", named(e.ID), e.Message) }

// Missing says that the kind of an artifact is not there: its definition is not
// installed, or is gone.
type Missing struct{ ID translators.ID }

func (e *Missing) Error() string {
	return fmt.Sprintf("%s cannot be written: the API server does not serve %s", named(e.ID), e.ID.Type)
}

// named is an artifact for people, "HTTPRoute shop/web".
func named(id translators.ID) string {
	return id.Type[strings.LastIndexByte(id.Type, '/')+1:] + " " + id.Name
}

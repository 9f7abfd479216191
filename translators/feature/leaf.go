package feature

// Leaf is a row of the first table of the accounting: what becomes of one leaf
// field of a schema. It feeds features, or it has a reason for feeding none.
type Leaf struct {
	Group, Kind string
	// Path is generic: the elements of a list stand as "[]", as in
	// "spec.backends[].weight". A row also holds for all that lies below its
	// path, as for the keys of a free-form map.
	Path string
	// Features that the field feeds; at least one, or else Reason is set.
	Features []Feature
	// Reason why the field feeds no feature.
	Reason Reason
}

// Reason says why a field feeds no feature. The list is closed: a field for
// which none of these holds has to feed one.
type Reason string

// The reasons.
const (
	// ReasonName: it says which object this is.
	ReasonName Reason = "identifies the object"
	// ReasonKey: it leads to another object, or lets another lead here; what is
	// found there feeds features.
	ReasonKey Reason = "joins objects"
	// ReasonDocumentation: it is there to be read by people.
	ReasonDocumentation Reason = "documentation"
	// ReasonStatus: a controller wrote down what it found; nothing is asked for.
	ReasonStatus Reason = "reported by a controller"
	// ReasonPod: how a process is run, which no traffic policy is about.
	ReasonPod Reason = "how a pod is run"
	// ReasonAddress: where a Service or a pod is reached by those outside the mesh,
	// or by the cluster's own machinery.
	ReasonAddress Reason = "addressing of the cluster itself"
	// ReasonNotSpoken: no back end is told, and a finding says so where it is used.
	ReasonNotSpoken Reason = "reported as not translated"
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{ReasonName, ReasonKey, ReasonDocumentation, ReasonStatus, ReasonPod, ReasonAddress, ReasonNotSpoken}
}

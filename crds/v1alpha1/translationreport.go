package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Bounds of a report. Where a list is cut, its last entry says how many more
// there are.
const (
	MaxFindings  = 64
	MaxArtifacts = 256
	// MaxMessage and MaxHint are in bytes.
	MaxMessage = 1024
	MaxHint    = 1024
	MaxField   = 512
)

// TranslationReport says what became of one object of its namespace: a
// TrafficSplit, an HTTPRoute, a Service. It is named by ReportName and owned by
// that object, and goes with it. The controller alone writes it.
//
// It has no status subresource. All of it is the controller's, nothing in it is
// wanted by anybody else, and with a subresource the controller would have to
// create a report and then write its status: two writes for each of ten thousand
// objects at the first start, and an empty report in between.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,shortName=trep,categories=meshknot
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.status.source.kind`
// +kubebuilder:printcolumn:name="Object",type=string,JSONPath=`.status.source.name`
// +kubebuilder:printcolumn:name="Binding",type=string,JSONPath=`.status.backends[0].binding`
// +kubebuilder:printcolumn:name="Programmed",type=string,JSONPath=`.status.backends[0].conditions[?(@.type=="Programmed")].status`
// +kubebuilder:printcolumn:name="Lossfree",type=string,JSONPath=`.status.backends[0].conditions[?(@.type=="LossFree")].status`
// +kubebuilder:printcolumn:name="Second",type=string,JSONPath=`.status.backends[1].binding`,priority=1
// +kubebuilder:printcolumn:name="Finding",type=string,JSONPath=`.status.findings[0].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TranslationReport struct {
	metav1.TypeMeta `json:",inline"`
	// Name, labels and annotations, as of any object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What is said.
	// +optional
	Status TranslationReportStatus `json:"status,omitzero"`
}

// TranslationReportStatus says what became of an object.
type TranslationReportStatus struct {
	// The object that this is about.
	// +required
	Source SourceReference `json:"source"`
	// The metadata.generation of the object that all of this is about.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// What is to be said whatever the mesh, at most 64.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Findings []Finding `json:"findings,omitempty"`
	// What became of it on each mesh that it concerns, at most 16, by the name of
	// the binding.
	// +optional
	// +listType=map
	// +listMapKey=binding
	// +kubebuilder:validation:MaxItems=16
	Backends []BackendReport `json:"backends,omitempty"`
}

// SourceReference names the object that a report is about; it is in the same
// namespace.
type SourceReference struct {
	// Group and version that it was read in, 1 to 317 characters. Example
	// "split.smi-spec.io/v1alpha4".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	APIVersion string `json:"apiVersion"`
	// Its kind, 1 to 63 characters. Example "TrafficSplit".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// Its name, 1 to 253 characters. Example "reviews".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Its metadata.uid, at most 128 characters: an object that was deleted and
	// made again is another.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	UID string `json:"uid,omitempty"`
}

// BackendReport says what became of an object on one mesh.
type BackendReport struct {
	// The MeshBinding, 1 to 63 characters. Example "shop-istio".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Binding string `json:"binding"`
	// The back end that it names, 1 to 63 characters. Example "istio".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Backend string `json:"backend"`
	// The version that was translated to, at most 16 characters; empty where the
	// back end has none. Example "1.31".
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Version string `json:"version,omitempty"`
	// Accepted, Translated, Programmed and LossFree, at most 8.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// What this mesh does not keep, and what else there is to be said, at most 64.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Findings []Finding `json:"findings,omitempty"`
	// What was made of it, at most 256.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Artifacts []ArtifactReference `json:"artifacts,omitempty"`
}

// ArtifactReference names something that was made.
type ArtifactReference struct {
	// "group/version/Kind" of an object, the kind of a Consul entry, or the type of
	// an xDS resource; 1 to 512 characters. Example
	// "networking.istio.io/v1/VirtualService".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Type string `json:"type"`
	// "namespace/name" of an object, or the name of what has no namespace; 1 to 512
	// characters. Example "shop/reviews".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name"`
}

// Finding is one thing to be said.
type Finding struct {
	// What it is: "meshknot code MK2104" explains it. At most 16 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	Code string `json:"code"`
	// How bad it is: error, warning or info.
	// +required
	// +kubebuilder:validation:Enum=error;warning;info
	Severity string `json:"severity"`
	// What the back end makes of it; empty where no back end is meant.
	// +optional
	// +kubebuilder:validation:Enum=exact;relocated;approximated;narrowed;dropped;widened
	Class string `json:"class,omitempty"`
	// The field of the source that is meant, at most 512 bytes; empty for all of
	// it. Example "spec.backends[1].weight".
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Field string `json:"field,omitempty"`
	// What there is to be said, at most 1024 bytes.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
	// What can be done about it, at most 1024 bytes.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Hint string `json:"hint,omitempty"`
	// The reason of the waiver that accepts it, at most 1024 bytes; empty where
	// there is none.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Waived string `json:"waived,omitempty"`
}

// TranslationReportList is a list of reports.
//
// +kubebuilder:object:root=true
type TranslationReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TranslationReport `json:"items"`
}

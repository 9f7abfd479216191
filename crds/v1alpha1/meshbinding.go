package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Types of conditions. Accepted and Programmed are said of bindings and, with
// the others, of every source object on every back end.
const (
	// ConditionAccepted: what was written can be read and has an effect.
	ConditionAccepted = "Accepted"
	// ConditionTranslated: the back end's output of it could be made.
	ConditionTranslated = "Translated"
	// ConditionProgrammed: the mesh has confirmed that it is in force.
	ConditionProgrammed = "Programmed"
	// ConditionLossFree: the back end keeps all of it, exactly or elsewhere.
	ConditionLossFree = "LossFree"
)

// MeshBinding says which mesh serves which namespaces, and how. Exchanging one
// mesh for another is an edit of spec.backend; two namespaces may be on two
// meshes, and one may be on several while it moves.
//
// Several bindings may select a namespace if the names of their back ends differ
// and their access and dialect are equal. Else the older one has it, and the
// younger one is not Accepted.
//
// The name is at most 63 characters, for it is a value of labels.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=mb,categories=meshknot
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="applyset.kubernetes.io/is-parent-type=true"
// +kubebuilder:printcolumn:name="Backend",type=string,JSONPath=`.spec.backend.name`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.backend.version`
// +kubebuilder:printcolumn:name="Access",type=string,JSONPath=`.spec.access`,priority=1
// +kubebuilder:printcolumn:name="Paused",type=boolean,JSONPath=`.spec.paused`,priority=1
// +kubebuilder:printcolumn:name="Namespaces",type=integer,JSONPath=`.status.namespaces`
// +kubebuilder:printcolumn:name="Objects",type=integer,JSONPath=`.status.objects`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Programmed",type=string,JSONPath=`.status.conditions[?(@.type=="Programmed")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name is a value of labels: at most 63 characters"
type MeshBinding struct {
	metav1.TypeMeta `json:",inline"`
	// Name, labels and annotations, as of any object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What is wanted.
	// +required
	Spec MeshBindingSpec `json:"spec"`
	// What became of it. Written by the controller alone.
	// +optional
	Status MeshBindingStatus `json:"status,omitzero"`
}

// MeshBindingSpec says what is wanted of a binding.
type MeshBindingSpec struct {
	// The namespaces that the mesh serves, by their labels; {} selects every one.
	// At most 32 labels and 16 expressions. Example, by name:
	// {matchLabels: {kubernetes.io/metadata.name: shop}}.
	// +required
	// +kubebuilder:validation:XValidation:rule="!has(self.matchLabels) || size(self.matchLabels) <= 32",message="at most 32 labels",fieldPath=".matchLabels"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || size(self.matchExpressions) <= 16",message="at most 16 expressions",fieldPath=".matchExpressions"
	NamespaceSelector metav1.LabelSelector `json:"namespaceSelector"`
	// The mesh.
	// +required
	Backend BackendSpec `json:"backend"`
	// Who is denied by default: callers of workloads that a policy names
	// ("selected", the default), callers of all workloads ("strict"), or nobody
	// ("off"; no access control is written at all).
	// +optional
	// +kubebuilder:default=selected
	// +kubebuilder:validation:Enum=selected;strict;off
	Access string `json:"access,omitempty"`
	// How SMI is read where its specification leaves room: as it is written
	// ("spec", the default), or as Open Service Mesh or Traefik Mesh read it.
	// +optional
	// +kubebuilder:default=spec
	// +kubebuilder:validation:Enum=spec;osm;traefik
	Dialect string `json:"dialect,omitempty"`
	// The SPIFFE trust domain of the accounts' identities: a DNS name of 1 to 253
	// characters. Default "cluster.local".
	// +optional
	// +kubebuilder:default=cluster.local
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`
	TrustDomain string `json:"trustDomain,omitempty"`
	// The worst that is put in force: "exact" (nothing less than the same),
	// "relocated" (the same, enforced elsewhere), "approximated" (nearly the same),
	// "narrowed" (less gets through) or "dropped" (the default: also what has no
	// effect). What is worse keeps its last good form. What would let more through
	// is refused whatever stands here, and so is access control that is dropped.
	// +optional
	// +kubebuilder:default=dropped
	// +kubebuilder:validation:Enum=exact;relocated;approximated;narrowed;dropped
	LossGate string `json:"lossGate,omitempty"`
	// Refusals that are accepted, at most 64.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Waivers []Waiver `json:"waivers,omitempty"`
	// Whether reports are written and nothing else is: what is in force stays.
	// Default false.
	// +optional
	Paused bool `json:"paused,omitempty"`
}

// BackendSpec names a mesh.
type BackendSpec struct {
	// Which mesh it is: envoy and grpc are served by xDS, consul over its HTTP API
	// (or, with the option form=kubernetes, as objects), all others as objects.
	// +required
	// +kubebuilder:validation:Enum=envoy;grpc;istio;linkerd;consul;gateway-api
	Name string `json:"name"`
	// The mesh's own version, MAJOR.MINOR, at most 16 characters. Default: the
	// newest that meshknot knows. Example "1.31".
	// +optional
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[0-9]+\.[0-9]+$`
	Version string `json:"version,omitempty"`
	// Options of the back end; "meshknot backends show NAME" lists them. At most 64
	// with keys of 1 to 256 and values of at most 1024 characters. Example, of
	// istio: {root-namespace: istio-config}.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) >= 1 && size(k) <= 256)",message="a key has 1 to 256 characters"
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(self[k]) <= 1024)",message="a value has at most 1024 characters"
	Options map[string]string `json:"options,omitempty"`
}

// Waiver accepts one refusal: a finding of a code at an object.
// +kubebuilder:validation:XValidation:rule="size(self.reason.trim()) > 0",message="a waiver has a reason",fieldPath=".reason"
type Waiver struct {
	// The code of the finding. "meshknot code MK2104" explains one.
	// +required
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^MK[0-9]{4}$`
	Code string `json:"code"`
	// The kind of the object, such as "TrafficSplit": 1 to 63 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// The namespace of the object, at most 63 characters; empty for an object that
	// has none. Example "shop".
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// The name of the object, 1 to 253 characters. Example "reviews".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Why it is accepted, 1 to 1024 characters; it is repeated in the reports.
	// Example "INC-1234: until the client sends the header".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
	// When it stops to hold, as RFC 3339; default never. Example
	// "2027-01-31T00:00:00Z".
	// +optional
	Expires *metav1.Time `json:"expires,omitempty"`
}

// MeshBindingStatus says what became of a binding.
type MeshBindingStatus struct {
	// The metadata.generation that all of this is about.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// How many namespaces it has.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Namespaces int32 `json:"namespaces,omitempty"`
	// How many objects, entries or xDS resources it keeps in force.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Objects int32 `json:"objects,omitempty"`
	// Accepted: it can be read and no older binding has its namespaces. Programmed:
	// all of its output is in force, and where proxies confirm that, they have.
	// At most 8.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// MeshBindingList is a list of bindings.
//
// +kubebuilder:object:root=true
type MeshBindingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MeshBinding `json:"items"`
}

package kube

import "github.com/meshknot/meshknot/translators/ir"

// The kinds that others refer to.
const (
	KindService        = "Service"
	KindServiceAccount = "ServiceAccount"
)

// DefaultAccount is the account of pods that name none. It exists everywhere.
const DefaultAccount = "default"

// Service is what matters of a Service.
type Service struct {
	// Addresses are the cluster addresses.
	Addresses []string
	Headless  bool
	// External is the DNS name that a Service of type ExternalName stands for.
	External string
	// Selector is nil where the endpoints are made by somebody else, and empty
	// where it tells pods apart by what is no class of pods, such as their name.
	Selector map[string]string
	Ports    []ServicePort
}

// ServicePort is a port of a Service.
type ServicePort struct {
	Name   string
	Number int32
	// Target is the port on the pods; where it is 0, TargetName is its name there.
	Target     int32
	TargetName string
	// Transport is "TCP", "UDP" or "SCTP".
	Transport string
	// Protocol is what the port's own fields say; empty where they say nothing.
	Protocol ir.Protocol
	// TLS: the two ends encrypt what they say; Protocol is TCP.
	TLS bool
	// Field is the path of the list element, such as "spec.ports[0]".
	Field string
}

// Pods is what matters of what runs pods: a pod, or the template in a
// Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob.
type Pods struct {
	// Labels of the pods, without those that differ between pods of a class.
	Labels  map[string]string
	Account string
	Ports   []ContainerPort
	Probes  []Probe
	// Field is the path of the pod's spec.
	Field string
}

// ContainerPort is a port of a container; few have a name.
type ContainerPort struct {
	Name      string
	Number    int32
	Transport string
}

// Probe is a probe that makes a call.
type Probe struct {
	Port int32
	// Protocol is HTTP (GET of Path), GRPC or TCP; one over TLS is TCP.
	Protocol ir.Protocol
	Path     string
	Field    string
}

// Account is what matters of a ServiceAccount.
type Account struct {
	// PodLabels are those that the annotation "meshknot.io/workload-labels" says
	// the account's pods have.
	PodLabels map[string]string
}

// Namespace is what matters of a Namespace: that it is there.
type Namespace struct{}

// Slices is what matters of an EndpointSlice, or of Endpoints, whose subsets
// are as many slices.
type Slices struct {
	// Service is the name of the Service that they are behind.
	Service string
	Slices  []Slice
}

// Slice is a set of addresses with the same ports.
type Slice struct {
	Ports     []SlicePort
	Addresses []Address
}

// SlicePort is a port of all addresses of a slice. Name is that of the Service port.
type SlicePort struct {
	Name      string
	Number    int32
	Transport string
}

// Address is where a pod is reached.
type Address struct {
	IP    string
	Ready bool
}

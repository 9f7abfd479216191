package kube

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// endpoints is the wire type of Endpoints, which Kubernetes calls deprecated but
// still serves.
type endpoints struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Subsets           []subset `json:"subsets,omitempty"`
}

type subset struct {
	Addresses         []endpointAddress `json:"addresses,omitempty"`
	NotReadyAddresses []endpointAddress `json:"notReadyAddresses,omitempty"`
	Ports             []endpointPort    `json:"ports,omitempty"`
}

type endpointAddress struct {
	IP        string          `json:"ip"`
	Hostname  string          `json:"hostname,omitempty"`
	NodeName  *string         `json:"nodeName,omitempty"`
	TargetRef json.RawMessage `json:"targetRef,omitempty"`
}

type endpointPort struct {
	Name        string          `json:"name,omitempty"`
	Port        int32           `json:"port"`
	Protocol    corev1.Protocol `json:"protocol,omitempty"`
	AppProtocol *string         `json:"appProtocol,omitempty"`
}

func legacySlices(w *endpoints) *Slices {
	out := &Slices{Service: w.Name}
	for _, set := range w.Subsets {
		var s Slice
		for _, p := range set.Ports {
			s.Ports = append(s.Ports, SlicePort{p.Name, p.Port, transport(p.Protocol)})
		}
		for _, a := range set.Addresses {
			s.Addresses = append(s.Addresses, Address{a.IP, true})
		}
		for _, a := range set.NotReadyAddresses {
			s.Addresses = append(s.Addresses, Address{a.IP, false})
		}
		out.Slices = append(out.Slices, s)
	}
	return out
}

func endpointSlice(w *discoveryv1.EndpointSlice) *Slices {
	var s Slice
	for _, p := range w.Ports {
		if p.Port == nil { // every port: nothing that a client could call
			continue
		}
		port := SlicePort{Number: *p.Port, Transport: string(corev1.ProtocolTCP)}
		if p.Name != nil {
			port.Name = *p.Name
		}
		if p.Protocol != nil {
			port.Transport = transport(*p.Protocol)
		}
		s.Ports = append(s.Ports, port)
	}
	for _, e := range w.Endpoints {
		if len(e.Addresses) > 0 { // further ones stand for the same endpoint
			ready := e.Conditions.Ready == nil || *e.Conditions.Ready
			s.Addresses = append(s.Addresses, Address{e.Addresses[0], ready})
		}
	}
	return &Slices{Service: w.Labels[discoveryv1.LabelServiceName], Slices: []Slice{s}}
}

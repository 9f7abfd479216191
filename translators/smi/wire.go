package smi

import (
	"encoding/json"

	specs1 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/specs/v1alpha1"
	specs2 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/specs/v1alpha2"
	specs3 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/specs/v1alpha3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The types of this file describe documents. SMI's own Go types are used where
// they decode what an API server accepts; elsewhere the reason stands beside the
// type. What is a json.RawMessage is looked at by Decode alone.

// wireStatus lets objects that were read from a cluster keep what controllers
// wrote there. SMI has no status; the CRDs of this project have.
type wireStatus struct {
	Status json.RawMessage `json:"status,omitempty"`
}

type wireMeta struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	wireStatus        `json:",inline"`
}

// wireSplit is TrafficSplit v1alpha1 and v1alpha2. SMI's types refuse, together
// with the whole object, weights that the API server takes: 0.5 is no Go int.
type wireSplit struct {
	wireMeta `json:",inline"`
	Spec     wireSplitSpec `json:"spec"`
}

type wireSplitSpec struct {
	Service  string        `json:"service"`
	Backends []wireBackend `json:"backends"`
}

type wireBackend struct {
	Service string `json:"service"`
	// Weight is a Quantity in v1alpha1, a whole number since.
	Weight json.RawMessage `json:"weight"`
}

// wireMatchedSplit is TrafficSplit v1alpha3 and v1alpha4, for the same reason.
type wireMatchedSplit struct {
	wireMeta `json:",inline"`
	Spec     struct {
		wireSplitSpec `json:",inline"`
		Matches       []corev1.TypedLocalObjectReference `json:"matches,omitempty"`
	} `json:"spec"`
}

// wireRouteGroup1 is HTTPRouteGroup v1alpha1.
type wireRouteGroup1 struct {
	specs1.HTTPRouteGroup `json:",inline"`
	wireStatus            `json:",inline"`
}

// wireRouteGroup2 is HTTPRouteGroup v1alpha2. SMI's type takes headers in one of
// the two shapes that are in use, loses their order and hides them.
type wireRouteGroup2 struct {
	wireMeta `json:",inline"`
	Matches  []wireMatch `json:"matches"`
}

// wireRouteGroup3 is HTTPRouteGroup v1alpha3 and v1alpha4, for the same reason.
type wireRouteGroup3 struct {
	wireMeta `json:",inline"`
	Spec     struct {
		Matches []wireMatch `json:"matches"`
	} `json:"spec"`
}

type wireMatch struct {
	Name      string   `json:"name"`
	PathRegex string   `json:"pathRegex,omitempty"`
	Methods   []string `json:"methods,omitempty"`
	// Headers are a list of maps or a map.
	Headers json.RawMessage `json:"headers,omitempty"`
}

// wireTCPRoute1 to wireTCPRoute3 are TCPRoute v1alpha1 to v1alpha3, which say
// nothing.
type wireTCPRoute1 struct {
	specs1.TCPRoute `json:",inline"`
	wireStatus      `json:",inline"`
}

type wireTCPRoute2 struct {
	specs2.TCPRoute `json:",inline"`
	wireStatus      `json:",inline"`
}

type wireTCPRoute3 struct {
	specs3.TCPRoute `json:",inline"`
	wireStatus      `json:",inline"`
}

// wirePortRoute is TCPRoute and UDPRoute v1alpha4. SMI's types cannot tell
// "no matches", which its CRD refuses, from "all ports".
type wirePortRoute struct {
	wireMeta `json:",inline"`
	Spec     struct {
		// Matches is one object, {name, ports}, and often mistaken for a list.
		Matches json.RawMessage `json:"matches"`
	} `json:"spec"`
}

// wireTarget1 is TrafficTarget v1alpha1. SMI's type refuses the quoted port that
// its first releases wrote.
type wireTarget1 struct {
	wireMeta    `json:",inline"`
	Destination wireDestination `json:"destination"`
	Specs       []wireRule      `json:"specs"`
	Sources     []wireAccount   `json:"sources"`
}

// wireTarget2 is TrafficTarget v1alpha2, for the same reason, and v1alpha3,
// whose destination has no port: it is read in order to say where it went.
type wireTarget2 struct {
	wireMeta `json:",inline"`
	Spec     struct {
		Destination wireDestination `json:"destination"`
		Rules       []wireRule      `json:"rules,omitempty"`
		Sources     []wireAccount   `json:"sources,omitempty"`
	} `json:"spec"`
}

// wireTarget4 is TrafficTarget v1alpha4, for which SMI has no type.
type wireTarget4 struct {
	wireMeta `json:",inline"`
	Spec     struct {
		Destination struct {
			wireDestination `json:",inline"`
			Group           string `json:"group,omitempty"`
		} `json:"destination"`
		Rules   []wireRule     `json:"rules"`
		Sources []wireAccount4 `json:"sources"`
	} `json:"spec"`
}

type wireAccount struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// wireAccount4 has the group that the examples of v1alpha4 carry.
type wireAccount4 struct {
	wireAccount `json:",inline"`
	Group       string `json:"group,omitempty"`
}

type wireDestination struct {
	wireAccount `json:",inline"`
	// Port is a number or a number in quotes.
	Port json.RawMessage `json:"port,omitempty"`
}

type wireRule struct {
	Kind    string   `json:"kind"`
	Name    string   `json:"name"`
	Matches []string `json:"matches,omitempty"`
}

// wireBinding is IdentityBinding v1alpha4, for which SMI has no type.
type wireBinding struct {
	wireMeta `json:",inline"`
	Spec     struct {
		Schemes struct {
			PodLabelSelector *struct {
				MatchLabels map[string]string `json:"matchLabels"`
			} `json:"podLabelSelector,omitempty"`
			SPIFFEIdentities []string `json:"spiffeIdentities,omitempty"`
			ServiceAccount   string   `json:"serviceAccount,omitempty"`
		} `json:"schemes"`
	} `json:"spec"`
}

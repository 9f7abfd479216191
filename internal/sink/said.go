package sink

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Refusal is what a mesh has against an object of ours, in its own words.
type Refusal struct {
	// Controller is who refuses it, as it calls itself; empty where it does not.
	Controller string
	// Condition is what it says it in, and Reason the word for why.
	Condition, Reason, Message string
	// Former: it is of what the object was before an edit, and nothing was said since.
	Former bool
}

// String says it in one line.
func (r Refusal) String() string {
	out := fmt.Sprintf("%s refuses it: %s", cmp.Or(r.Controller, "its mesh"), r.Condition)
	for _, more := range []string{r.Reason, r.Message} {
		if more != "" {
			out += ": " + more
		}
	}
	return out
}

// Concerns reports whether a refusal is that of the mesh which a back end writes for.
// Several meshes may read the same routes of Gateway API, and only where it is known
// which one is meant the others do not count.
func (r Refusal) Concerns(backend string) bool {
	only := readers[backend]
	return only == "" || r.Controller == "" || r.Controller == only
}

// readers are the controllers by which meshes call themselves in statuses of routes.
var readers = map[string]string{"linkerd": "linkerd.io/policy-controller"}

// ourselves is the name by which we take part in statuses of routes ourselves.
const ourselves = "meshknot.io/gateway-controller"

// Speaking is a kind of objects in whose status meshes say what they make of them.
type Speaking struct {
	schema.GroupKind
	// Resource is what it is called in paths.
	Resource string
	// Versions are those in which it is written.
	Versions []string
}

// telling is how the status of a kind speaks.
type telling struct {
	resource string
	// routes: it has a list of conditions for each parent and controller. Else there
	// is one list.
	routes bool
	// by is whose controller writes it, where it has no name there.
	by string
	// denied are the conditions that refuse an object where they are False, and partly
	// those that refuse a part of it where they are True. Others say something else: that
	// something is under way, or how things are with somebody who may not be concerned.
	denied, partly []string
	// analysed: it has messages of the mesh's analysis, too.
	analysed bool
}

// Of Istio's conditions Reconciled says how far a change has come, and ZtunnelAccepted
// what the proxy of a node makes of a policy, also of one whose pods have proxies of
// their own; neither is a refusal.
func istioTelling(resource string) telling {
	return telling{resource: resource, by: "Istio", denied: []string{"WaypointAccepted"}, analysed: true}
}

func consulTelling(resource string) telling {
	return telling{resource: resource, by: "Consul", denied: []string{"Synced"}}
}

func routeTelling(resource string) telling {
	return telling{resource: resource, routes: true, denied: []string{"Accepted", "ResolvedRefs", "Programmed"}, partly: []string{"PartiallyInvalid"}}
}

const (
	gatewayAPI    = "gateway.networking.k8s.io"
	istioSecurity = "security.istio.io"
	consulCRDs    = "consul.hashicorp.com"
	linkerdPolicy = "policy.linkerd.io"
)

// tellings has a row for each kind that is written. Those without a resource have no
// status: Linkerd says nothing of them.
var tellings = map[schema.GroupKind]telling{
	{Group: gatewayAPI, Kind: "GRPCRoute"}:                 routeTelling("grpcroutes"),
	{Group: gatewayAPI, Kind: "HTTPRoute"}:                 routeTelling("httproutes"),
	{Group: gatewayAPI, Kind: "TCPRoute"}:                  routeTelling("tcproutes"),
	{Group: "networking.istio.io", Kind: "VirtualService"}: istioTelling("virtualservices"),
	{Group: istioSecurity, Kind: "AuthorizationPolicy"}:    istioTelling("authorizationpolicies"),
	{Group: istioSecurity, Kind: "PeerAuthentication"}:     istioTelling("peerauthentications"),
	{Group: consulCRDs, Kind: "Mesh"}:                      consulTelling("meshes"),
	{Group: consulCRDs, Kind: "ServiceDefaults"}:           consulTelling("servicedefaults"),
	{Group: consulCRDs, Kind: "ServiceIntentions"}:         consulTelling("serviceintentions"),
	{Group: consulCRDs, Kind: "ServiceResolver"}:           consulTelling("serviceresolvers"),
	{Group: consulCRDs, Kind: "ServiceRouter"}:             consulTelling("servicerouters"),
	{Group: consulCRDs, Kind: "ServiceSplitter"}:           consulTelling("servicesplitters"),
	{Group: linkerdPolicy, Kind: "AuthorizationPolicy"}:    {},
	{Group: linkerdPolicy, Kind: "MeshTLSAuthentication"}:  {},
	{Group: linkerdPolicy, Kind: "NetworkAuthentication"}:  {},
	{Group: linkerdPolicy, Kind: "Server"}:                 {},
}

// Speaks reports whether meshes say of objects of a kind what they make of them.
func Speaks(k schema.GroupKind) bool { return tellings[k].resource != "" }

// AllSpeaking lists the kinds that back ends write of which meshes say something, sorted.
func AllSpeaking() []Speaking {
	var out []Speaking
	for _, k := range AllKinds() {
		if !Speaks(k.GroupKind()) {
			continue
		}
		i := slices.IndexFunc(out, func(s Speaking) bool { return s.GroupKind == k.GroupKind() })
		if i < 0 {
			i = len(out)
			out = append(out, Speaking{GroupKind: k.GroupKind(), Resource: tellings[k.GroupKind()].resource})
		}
		out[i].Versions = append(out[i].Versions, k.Version)
	}
	slices.SortFunc(out, func(a, b Speaking) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

// live is what is read of an object of ours.
type live struct {
	Metadata struct {
		Generation generation `json:"generation"`
	} `json:"metadata"`
	Status struct {
		ObservedGeneration generation  `json:"observedGeneration"`
		Conditions         []condition `json:"conditions"`
		Parents            []struct {
			ControllerName string      `json:"controllerName"`
			Conditions     []condition `json:"conditions"`
		} `json:"parents"`
		ValidationMessages []struct {
			Level string `json:"level"`
			Type  struct {
				Name string `json:"name"`
				Code string `json:"code"`
			} `json:"type"`
			DocumentationURL string `json:"documentationUrl"`
		} `json:"validationMessages"`
	} `json:"status"`
}

type condition struct {
	Type               string     `json:"type"`
	Status             string     `json:"status"`
	Reason             string     `json:"reason"`
	Message            string     `json:"message"`
	ObservedGeneration generation `json:"observedGeneration"`
}

// generation is 0 where none is given. Istio writes it as a string.
type generation int64

// UnmarshalJSON implements json.Unmarshaler. What is no number is none.
func (g *generation) UnmarshalJSON(text []byte) error {
	var n int64
	if json.Unmarshal([]byte(strings.Trim(string(text), `"`)), &n) == nil {
		*g = generation(n)
	}
	return nil
}

// Hear reads of a live object of a kind what its meshes have against it, sorted. What
// they say of no generation is meant of what there is. What cannot be read says nothing.
func Hear(k schema.GroupKind, object []byte) []Refusal {
	t := tellings[k]
	var o live
	if t.resource == "" || json.Unmarshal(object, &o) != nil {
		return nil
	}
	h := hearing{telling: t, generation: o.Metadata.Generation}
	if t.routes {
		for _, p := range o.Status.Parents {
			if p.ControllerName != ourselves {
				h.conditions(p.ControllerName, 0, p.Conditions)
			}
		}
	} else {
		h.conditions(t.by, o.Status.ObservedGeneration, o.Status.Conditions)
	}
	if t.analysed {
		for _, m := range o.Status.ValidationMessages {
			if m.Level == "ERROR" {
				h.refused(o.Status.ObservedGeneration, Refusal{Controller: t.by, Condition: "validationMessages",
					Reason: m.Type.Code, Message: strings.TrimSpace(m.Type.Name + " " + m.DocumentationURL)})
			}
		}
	}
	slices.SortFunc(h.refusals, compareRefusals)
	return slices.Compact(h.refusals)
}

func compareRefusals(a, b Refusal) int {
	return slices.Compare([]string{a.Controller, a.Condition, a.Reason, a.Message}, []string{b.Controller, b.Condition, b.Reason, b.Message})
}

// hearing is what was heard of an object so far.
type hearing struct {
	telling
	generation generation
	refusals   []Refusal
}

// conditions hears those of a controller. whole is the generation that all of them are
// of, where they do not say it themselves.
func (h *hearing) conditions(controller string, whole generation, all []condition) {
	for _, c := range all {
		if slices.Contains(h.denied, c.Type) && c.Status == "False" || slices.Contains(h.partly, c.Type) && c.Status == "True" {
			h.refused(cmp.Or(c.ObservedGeneration, whole), Refusal{Controller: controller, Condition: c.Type + " is " + c.Status, Reason: c.Reason, Message: c.Message})
		}
	}
}

// refused takes down a refusal of a generation.
func (h *hearing) refused(of generation, r Refusal) {
	r.Reason, r.Message = shortened(r.Reason), shortened(r.Message)
	r.Former = of != 0 && of < h.generation
	h.refusals = append(h.refusals, r)
}

// longest is how much of somebody's words is kept.
const longest = 1024

func shortened(s string) string {
	if len(s) <= longest {
		return s
	}
	n := longest
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

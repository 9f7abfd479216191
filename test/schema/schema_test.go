package schema

import (
	"strings"
	"testing"
	"testing/fstest"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

type object = map[string]any

func virtualService(spec object) object {
	return object{
		"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
		"metadata": object{"name": "reviews", "namespace": "shop"}, "spec": spec,
	}
}

func policy(name string, spec object) object {
	return object{
		"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
		"metadata": object{"name": name, "namespace": "shop"}, "spec": spec,
	}
}

func TestIstio(t *testing.T) {
	good := object{"hosts": []any{"reviews"}, "http": []any{object{"route": []any{object{"destination": object{"host": "reviews"}}}}}}
	tests := []struct {
		name string
		obj  object
		want string // part of the error; empty: none
	}{
		{"a good VirtualService", virtualService(good), ""},
		{"a policy that allows nothing", policy("deny", object{"action": "ALLOW"}), ""},
		{"an unknown kind", object{"apiVersion": "networking.istio.io/v1", "kind": "Nothing"}, "no definition"},
		{"an unknown version", object{"apiVersion": "networking.istio.io/v9", "kind": "VirtualService"}, "no definition"},
		{"no name", policy("", object{}), "name"},
		{"a name that is too long", policy(strings.Repeat("a", 254), object{}), "253"},
		{"a name with capitals", policy("Deny", object{}), "lowercase"},
		{"an unknown field", policy("p", object{"acton": "ALLOW"}), "no such field"},
		{"an unknown field far below", virtualService(object{"http": []any{object{"route": []any{object{"wait": int64(1)}}}}}), "no such field"},
		{"a value that is not of the enumeration", policy("p", object{"action": "PERMIT"}), "ALLOW"},
		{"a wrong type", virtualService(object{"hosts": "reviews"}), "array"},
		{"a Go int", virtualService(object{"http": []any{object{"retries": object{"attempts": 0}}}}), "int is no type"},
		{"a port that is too large", virtualService(object{"http": []any{object{"match": []any{object{"port": int64(1) << 33}}}}}), "less than or equal"},
		{"two of a oneOf", virtualService(object{"http": []any{object{"match": []any{object{"uri": object{"exact": "/a", "prefix": "/a"}}}}}}), "validate one and only one"},
		{"more rules than allowed", policy("p", object{"rules": many(513, object{})}), "512"},
		{"a rule in CEL that is broken", policy("p", object{"selector": object{"matchLabels": object{"app": "a*"}}}), "wildcard not allowed"},
		{"a null", policy("p", object{"action": nil}), "nulls removed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { expect(t, Istio(tt.obj), tt.want) })
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("accepted, want an error with %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("refused with %v, want an error with %q", err, want)
	}
}

func many(n int, e any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = e
	}
	return out
}

const defaulted = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: knots.example.io}
spec:
  group: example.io
  scope: Cluster
  names: {kind: Knot, plural: knots}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              loops: {type: integer, default: 2}
              ends:
                type: array
                x-kubernetes-list-type: set
                items: {type: string}
  - name: v1alpha1
    served: false
    storage: false
    schema: {openAPIV3Schema: {type: object}}
---
apiVersion: v1
kind: ConfigMap
`

func TestLoadAndCheck(t *testing.T) {
	crds, err := Load(fstest.MapFS{"crds/knots.yaml": {Data: []byte(defaulted)}}, "crds/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	knot := func(version string, meta, spec object) object {
		return object{"apiVersion": "example.io/" + version, "kind": "Knot", "metadata": meta, "spec": spec}
	}
	tests := []struct {
		name string
		obj  object
		want string
	}{
		{"complete", knot("v1", object{"name": "bowline"}, object{"loops": int64(1)}), ""},
		{"a default is missing", knot("v1", object{"name": "bowline"}, object{}), "defaults would be added"},
		{"a namespace where there is none", knot("v1", object{"name": "bowline", "namespace": "shop"}, object{"loops": int64(1)}), "namespace"},
		{"twice in a set", knot("v1", object{"name": "bowline"}, object{"loops": int64(1), "ends": []any{"a", "a"}}), "Duplicate"},
		{"a version that is not served", knot("v1alpha1", object{"name": "bowline"}, object{}), "no definition"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { expect(t, crds.Check(tt.obj), tt.want) })
	}
}

func TestLoadFails(t *testing.T) {
	tests := []struct {
		name, file, pattern, want string
	}{
		{"nothing matches", defaulted, "*.json", "no such file"},
		{"a broken pattern", defaulted, "[", "syntax error"},
		{"not YAML", "kind: [", "*", "reading crd.yaml"},
		{"not structural", strings.ReplaceAll(defaulted, "{type: integer, default: 2}", "{type: [integer]}"), "*", "reading crd.yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(fstest.MapFS{"crd.yaml": {Data: []byte(tt.file)}}, tt.pattern)
			expect(t, err, tt.want)
		})
	}
}

func TestXDS(t *testing.T) {
	bad := &routev3.RouteMatch{} // a path specifier is required
	tests := []struct {
		name string
		m    proto.Message
		want string
	}{
		{"a good cluster", &clusterv3.Cluster{Name: "a"}, ""},
		{"a cluster without a name", &clusterv3.Cluster{}, "Cluster.Name"},
		{"a bad message inside an Any", manager(t, bad), "RouteMatch"},
		{"a good message inside an Any", manager(t, &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}), ""},
		{"a bad message inside an Any inside a map", &clusterv3.Cluster{Name: "a",
			TypedExtensionProtocolOptions: map[string]*anypb.Any{"x": pack(t, bad)}}, "RouteMatch"},
		{"a bad message inside an Any inside a list", &corev3.TypedExtensionConfig{Name: "x", TypedConfig: pack(t, bad)}, "RouteMatch"},
		{"an unknown type", &corev3.TypedExtensionConfig{Name: "x", TypedConfig: &anypb.Any{TypeUrl: "type.googleapis.com/no.Such"}}, "unpacking"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { expect(t, XDS(tt.m), tt.want) })
	}
}

// manager packs a route two levels deep.
func manager(t *testing.T, match *routev3.RouteMatch) proto.Message {
	t.Helper()
	hcm := &hcmv3.HttpConnectionManager{StatPrefix: "x", RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{
		RouteConfig: &routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{{
			Name: "v", Domains: []string{"*"}, Routes: []*routev3.Route{{Match: match,
				Action: &routev3.Route_NonForwardingAction{NonForwardingAction: &routev3.NonForwardingAction{}}}},
		}}}}}
	return &listenerv3.Listener{ApiListener: &listenerv3.ApiListener{ApiListener: pack(t, hcm)}}
}

func pack(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

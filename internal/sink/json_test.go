package sink

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// artifactJSON is the shape of an artifact in "translate -o json".
type artifactJSON struct {
	Type    string       `json:"type"`
	Name    string       `json:"name"`
	For     string       `json:"forNamespace,omitempty"`
	Payload any          `json:"payload"`
	Refs    []report.Ref `json:"refs"`
}

// jsonArtifacts are of every form that a value can have, and more than one
// processor takes at a time.
func jsonArtifacts(t *testing.T) []translators.Artifact {
	t.Helper()
	metadata, err := structpb.NewStruct(map[string]any{"a": 1e-7, "b": []any{"x\u2028\u200b<&>", true, nil, map[string]any{}}, "c": map[string]any{"é\"": `\`}})
	if err != nil {
		t.Fatal(err)
	}
	payloads := []any{
		&clusterv3.Cluster{
			Name: "c\t\u202e", ConnectTimeout: durationpb.New(1500 * time.Millisecond), LbPolicy: clusterv3.Cluster_MAGLEV,
			PerConnectionBufferLimitBytes: wrapperspb.UInt32(1 << 31), Metadata: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"x": metadata, "a": {}}},
			CommonLbConfig:                &clusterv3.Cluster_CommonLbConfig{HealthyPanicThreshold: &typev3.Percent{Value: 0.1}},
			TypedExtensionProtocolOptions: map[string]*anypb.Any{"o": packed(t, &hcmv3.HttpConnectionManager{StatPrefix: "s", CodecType: 99})},
			TransportSocketMatches:        []*clusterv3.Cluster_TransportSocketMatch{{Name: "m", Match: metadata}, {}},
		},
		&clusterv3.Cluster{},
		&corev3.TypedExtensionConfig{Name: "d", TypedConfig: packed(t, durationpb.New(time.Second))},
		&corev3.TypedExtensionConfig{Name: "a", TypedConfig: packed(t, packed(t, &corev3.Locality{Zone: "z"}))},
		&corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: []byte{0, 255, '/'}}},
		&typev3.DoubleRange{Start: -0.25, End: 1e21},
		map[string]any{"z": 1, "list": []any{}, "object": map[string]any{}, "deep": []any{[]any{"<"}, 2.5, nil}},
		[]string{"no", "plain\x7fvalue"},
		longList(t),
	}
	refs := []report.Ref{{Group: "g", Kind: "K", Namespace: "n", Name: "x", Field: `spec["a\b"]`}, {Name: "only"}, {}}
	var out []translators.Artifact
	for i := range 100 {
		out = append(out, translators.Artifact{
			ID: translators.ID{Type: "type<>", Name: fmt.Sprint("name ", i)}, Payload: payloads[i%len(payloads)], Refs: refs[:i%4],
			Audience: []ir.Audience{{}, {Namespace: "n"}, {Namespace: "n", Account: "a"}}[i%3],
		})
	}
	return out
}

// longList is a message with a list of which several processors take a share.
func longList(t *testing.T) *hcmv3.HttpConnectionManager {
	t.Helper()
	out := &hcmv3.HttpConnectionManager{StatPrefix: "long"}
	for i := range long + 2*share + 5 {
		f := &hcmv3.HttpFilter{Name: fmt.Sprint("filter ", i)}
		if i%3 > 0 {
			f.ConfigType = &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(t, &corev3.Locality{Zone: strings.Repeat("z", i)})}
		}
		out.HttpFilters = append(out.HttpFilters, f)
	}
	return out
}

// Artifacts are printed as the library prints them in a document.
func TestJSONIsTheLibrarys(t *testing.T) {
	artifacts := jsonArtifacts(t)
	shapes := []artifactJSON{}
	for _, a := range artifacts {
		plain, err := Plain(a.Payload)
		if err != nil {
			t.Fatal(err)
		}
		shape := artifactJSON{a.ID.Type, a.ID.Name, a.Audience.Namespace, plain, append([]report.Ref{}, a.Refs...)}
		if a.Audience.Account != "" {
			shape.For = ""
		}
		shapes = append(shapes, shape)
	}
	for _, n := range []int{0, 1, len(artifacts)} {
		want, err := report.IndentedJSON(shapes[:n], 3)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := JSON(&got, artifacts[:n], 3); err != nil {
			t.Fatal(err)
		}
		a, b := strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("of %d artifacts line %d is %q, want %q", n, i+1, b[i], a[i])
			}
		}
		if len(a) != len(b) {
			t.Errorf("of %d artifacts there are %d lines, want %d", n, len(b), len(a))
		}
	}
}

// One long element of a long list takes no more room than it needs, wherever it stands.
func TestJSONRoomForALongList(t *testing.T) {
	for _, at := range []int{0, 5000, 9999} {
		list := &hcmv3.HttpConnectionManager{}
		for range 10_000 {
			list.HttpFilters = append(list.HttpFilters, &hcmv3.HttpFilter{Name: "f"})
		}
		list.HttpFilters[at].Name = strings.Repeat("f", 1<<20)
		var p jsonPrinter
		if err := p.message(list.ProtoReflect(), ""); err != nil {
			t.Fatal(err)
		}
		if cap(p.b) > 3*len(p.b) {
			t.Errorf("element %d: %d bytes have room for %d", at, len(p.b), cap(p.b))
		}
	}
}

// What cannot be printed is an error that names it, wherever it stands.
func TestJSONNamesWhatItCannotPrint(t *testing.T) {
	bad := &anypb.Any{TypeUrl: "nobody/knows.it"}
	list := longList(t)
	list.HttpFilters[long+1].ConfigType = &hcmv3.HttpFilter_TypedConfig{TypedConfig: bad}
	for _, payload := range []any{&corev3.TypedExtensionConfig{TypedConfig: bad}, list} {
		artifacts := jsonArtifacts(t)
		artifacts[70].Payload = payload
		err := JSON(&bytes.Buffer{}, artifacts, 0)
		if err == nil || !strings.Contains(err.Error(), "name 70") || !strings.Contains(err.Error(), "knows.it") {
			t.Errorf("the error is %v", err)
		}
	}
}

func BenchmarkJSONLongList(b *testing.B) {
	list := &hcmv3.HttpConnectionManager{}
	for i := range 10_000 {
		list.HttpFilters = append(list.HttpFilters, &hcmv3.HttpFilter{Name: fmt.Sprint("filter ", i), ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{
			ConfigDiscovery: &corev3.ExtensionConfigSource{TypeUrls: []string{strings.Repeat("t", 500)}}}})
	}
	b.ReportAllocs()
	for b.Loop() {
		var p jsonPrinter
		if err := p.message(list.ProtoReflect(), ""); err != nil {
			b.Fatal(err)
		}
	}
}

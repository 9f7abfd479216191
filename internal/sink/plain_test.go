package sink

import (
	"encoding/json"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A message is printed as the library's own JSON has it, whatever is in it.
func TestPlainIsTheJSONMapping(t *testing.T) {
	metadata, err := structpb.NewStruct(map[string]any{"a": 1.5, "b": []any{"x", true, nil}, "c": map[string]any{"d": "e"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []proto.Message{
		&clusterv3.Cluster{
			Name: "c", ConnectTimeout: durationpb.New(1500 * time.Millisecond), LbPolicy: clusterv3.Cluster_MAGLEV,
			PerConnectionBufferLimitBytes: wrapperspb.UInt32(1 << 31), Metadata: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"x": metadata}},
			CommonLbConfig:                &clusterv3.Cluster_CommonLbConfig{HealthyPanicThreshold: &typev3.Percent{Value: 0.1}},
			TypedExtensionProtocolOptions: map[string]*anypb.Any{"o": packed(t, &hcmv3.HttpConnectionManager{StatPrefix: "s", CodecType: hcmv3.HttpConnectionManager_HTTP2})},
			TransportSocketMatches:        []*clusterv3.Cluster_TransportSocketMatch{{Name: "m", Match: metadata}, {}},
		},
		&clusterv3.Cluster{LbPolicy: 99},
		&clusterv3.Cluster{},
		&endpointv3.ClusterLoadAssignment{ClusterName: "e", Policy: &endpointv3.ClusterLoadAssignment_Policy{EndpointStaleAfter: durationpb.New(5 * time.Second), OverprovisioningFactor: wrapperspb.UInt32(0)}},
		&clusterv3.Cluster_RingHashLbConfig{MinimumRingSize: wrapperspb.UInt64(1 << 60), MaximumRingSize: wrapperspb.UInt64(0)},
		&corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: []byte{0, 255, '/'}}},
		&corev3.Locality{Region: "r\u2028<&>"},
		&corev3.TypedExtensionConfig{Name: "d", TypedConfig: packed(t, durationpb.New(-1))},
		&corev3.TypedExtensionConfig{Name: "t", TypedConfig: packed(t, timestamppb.New(time.Unix(1, 5)))},
		&corev3.TypedExtensionConfig{Name: "w", TypedConfig: packed(t, wrapperspb.Bytes([]byte("x")))},
		&corev3.TypedExtensionConfig{Name: "a", TypedConfig: packed(t, packed(t, &corev3.Locality{Zone: "z"}))},
		&typev3.Int64Range{Start: -1, End: 1 << 62},
		&typev3.DoubleRange{Start: -0.25, End: 1e21},
	} {
		got, err := Plain(m)
		if err != nil {
			t.Fatal(err)
		}
		text, err := protojson.Marshal(packed(t, m))
		if err != nil {
			t.Fatal(err)
		}
		printed, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(text, &a) != nil || json.Unmarshal(printed, &b) != nil {
			t.Fatal("no JSON")
		}
		if d := cmp.Diff(a, b); d != "" {
			t.Errorf("%T (-library +ours):\n%s", m, d)
		}
	}
}

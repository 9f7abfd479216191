package protocol

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// bare sends bytes as messages and does not look at what it receives.
type bare struct{}

// Marshal implements encoding.CodecV2.
func (bare) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal implements encoding.CodecV2.
func (bare) Unmarshal(mem.BufferSlice, any) error { return nil }

// Name implements encoding.CodecV2.
func (bare) Name() string { return "proto" }

// attack is what a hostile client sends on a stream.
type attack struct {
	name  string
	delta bool
	// send sends until it has said all, or the stream has ended.
	send func(say func(proto.Message) bool, raw func([]byte) bool)
	// ends says that the server has to end the stream.
	ends bool
	// mute: it reads nothing.
	mute bool
	// rate, when set, is how many requests a second are allowed.
	rate int
}

const (
	hostile  = 20        // streams of one kind
	bearable = 256 << 10 // bytes that each may cost
)

func attacks() []attack {
	me := node("envoy", "shop", "web")
	names := numbered(1_000_000, "")
	million := encoded(&discoveryv3.DeltaDiscoveryRequest{Node: me, TypeUrl: EDS, ResourceNamesSubscribe: names})
	millionWorld := encoded(&discoveryv3.DiscoveryRequest{Node: me, TypeUrl: EDS, ResourceNames: names})
	versions := map[string]string{}
	for _, n := range names[:400_000] {
		versions[n] = "v"
	}
	claimed := encoded(&discoveryv3.DeltaDiscoveryRequest{Node: me, TypeUrl: CDS, InitialResourceVersions: versions})
	hello := &discoveryv3.DeltaDiscoveryRequest{Node: me, TypeUrl: CDS}
	return []attack{
		{name: "a million names in one message", delta: true, ends: true, send: func(_ func(proto.Message) bool, raw func([]byte) bool) { raw(million) }},
		{name: "a million names in the state of the world", ends: true, send: func(_ func(proto.Message) bool, raw func([]byte) bool) { raw(millionWorld) }},
		{name: "a million names in many messages", delta: true, ends: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			ok := say(hello)
			for n := 0; ok && n < 200; n++ {
				ok = say(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: EDS, ResourceNamesSubscribe: numbered(5000, fmt.Sprint(n, "-"))})
			}
		}},
		{name: "names without end that it claims to have", delta: true, ends: true, send: func(_ func(proto.Message) bool, raw func([]byte) bool) { raw(claimed) }},
		{name: "names that come and go", delta: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			ok := say(hello)
			for n := 0; ok && n < 1000; n++ {
				names := numbered(100, fmt.Sprint(n, "-"))
				ok = say(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: EDS, ResourceNamesSubscribe: names}) &&
					say(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: EDS, ResourceNamesUnsubscribe: names})
			}
		}},
		{name: "giving up what was never there", delta: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			ok := say(hello)
			for n := 0; ok && n < 200; n++ {
				ok = say(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: CDS, ResourceNamesUnsubscribe: numbered(1000, fmt.Sprint(n, "-"))})
			}
		}},
		{name: "a name of a mebibyte", delta: true, ends: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			say(&discoveryv3.DeltaDiscoveryRequest{Node: me, TypeUrl: EDS, ResourceNamesSubscribe: []string{strings.Repeat("x", 1<<20)}})
		}},
		{name: "a message of five mebibytes", delta: true, ends: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			say(&discoveryv3.DeltaDiscoveryRequest{Node: me, TypeUrl: strings.Repeat("x", 5<<20)})
		}},
		{name: "a node of three mebibytes", delta: true, ends: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			big := proto.CloneOf(me)
			big.Metadata.Fields["more"] = structpb.NewStringValue(strings.Repeat("x", 3<<20))
			say(&discoveryv3.DeltaDiscoveryRequest{Node: big, TypeUrl: CDS})
		}},
		{name: "a node that becomes another", delta: true, ends: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			_ = say(hello) && say(&discoveryv3.DeltaDiscoveryRequest{Node: node("envoy", "bank", "vault"), TypeUrl: CDS})
		}},
		{name: "a node that is nobody", delta: true, ends: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			say(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: "../../etc"}, TypeUrl: CDS})
		}},
		{name: "stale nonces", delta: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			ok := say(hello)
			for n := 0; ok && n < 5000; n++ {
				ok = say(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: CDS, ResponseNonce: fmt.Sprint("stale", n)})
			}
		}},
		{name: "refusals of three mebibytes", delta: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			ok := say(hello)
			for n := 0; ok && n < 3; n++ {
				ok = say(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: CDS, ResponseNonce: "x", ErrorDetail: &rpcstatus.Status{Message: strings.Repeat("x", 3<<20)}})
			}
		}},
		{name: "types that nobody knows", delta: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			ok := say(hello)
			for n := 0; ok && n < 5000; n++ {
				ok = say(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: fmt.Sprint("type.googleapis.com/x", n), ResourceNamesSubscribe: []string{"a"}})
			}
		}},
		{name: "requests without end", delta: true, ends: true, rate: 100, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			for n := 0; n < 200_000 && say(hello); n++ {
			}
		}},
		{name: "nothing but noise", ends: true, send: func(_ func(proto.Message) bool, raw func([]byte) bool) {
			random := rand.New(rand.NewPCG(1, 2))
			noise := make([]byte, 10_000)
			for ok := true; ok; ok = raw(noise) {
				for i := range noise {
					noise[i] = byte(random.Uint32())
				}
			}
		}},
		{name: "reading nothing", delta: true, mute: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) { say(hello) }},
		{name: "reading nothing of the state of the world", mute: true, send: func(say func(proto.Message) bool, _ func([]byte) bool) {
			say(&discoveryv3.DiscoveryRequest{Node: me, TypeUrl: CDS})
		}},
	}
}

func encoded(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func numbered(n int, before string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = before + fmt.Sprintf("%x", i)
	}
	return out
}

// TestHostileStreams: whatever a client sends costs its own stream at most, little
// memory while it lasts and none after, and nobody else notices.
func TestHostileStreams(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			defer catch(t)
			s, addr := serve(t, xds.Options{Grace: 10 * time.Millisecond, RequestRate: a.rate})
			state(t, s, 25, "0")
			good := dial(dialing{addr: addr, delta: true, node: node("envoy", "shop", "web"), wait: 2 * patience})
			defer good.close()
			good.subscribe(CDS)
			good.await(content(cluster("c-0", "0")))
			siege(t, addr, a, func(when string) {
				for n := range 10 { // large for whom it is of use to grow
					text := fmt.Sprint(when, n)
					state(t, s, 25, text)
					good.await(content(cluster("c-0", text)))
				}
				good.log = nil
			})
		})
	}
}

// state is half a mebibyte of clusters, all with another content.
func state(t *testing.T, s *xds.Server, clusters int, text string) {
	t.Helper()
	var all []translators.Artifact
	for n := range clusters {
		c := cluster(fmt.Sprint("c-", n), text)
		if n > 0 {
			c.AltStatName = text + strings.Repeat("x", 500_000/clusters)
		}
		all = append(all, artifact(c, ir.Audience{}))
	}
	if err := s.Update(xds.State{Artifacts: map[string][]translators.Artifact{"envoy": all}}); err != nil {
		t.Fatal(err)
	}
}

// TestOldStatesAreForgotten: however often everything changes, what was before is
// not kept, with a client that answers and one that does not.
func TestOldStatesAreForgotten(t *testing.T) {
	for _, on := range []variants{delta, world} {
		for _, answers := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/answers %t", on, answers), func(t *testing.T) {
				defer catch(t)
				s, addr := serve(t, xds.Options{})
				good := dial(dialing{addr: addr, delta: on == delta, node: node("envoy", "shop", "web"), wait: patience})
				defer good.close()
				other := dial(dialing{addr: addr, delta: on == delta, node: node("envoy", "shop", "web"), wait: patience})
				defer other.close()
				state(t, s, 500, "first")
				good.subscribe(CDS)
				if !answers {
					other.subscribe(CDS)
				}
				round := func(text string) {
					for n := range 20 {
						at := fmt.Sprint(text, n)
						state(t, s, 500, at)
						good.await(content(cluster("c-0", at)))
					}
					good.log = nil
					for len(other.got) > 0 {
						<-other.got
					}
				}
				good.await(content(cluster("c-0", "first")))
				before := heap()
				round("0")
				round("1")
				if grown := retained(before, 100<<10); grown > 100<<10 { // 2 MiB; a state is half a mebibyte
					t.Errorf("20 states later %d KiB more are in use", grown*hostile>>10)
				}
			})
		}
	}
}

// TestMutatedRequests sends requests in which bytes are changed, left out or put
// in, each on a stream of its own: the server takes them or ends that stream, and
// nothing else.
func TestMutatedRequests(t *testing.T) {
	defer catch(t)
	s, addr := serve(t, xds.Options{})
	state(t, s, 25, "0")
	good := dial(dialing{addr: addr, delta: true, node: node("envoy", "shop", "web"), wait: patience})
	defer good.close()
	good.subscribe(CDS)
	good.await(content(cluster("c-0", "0")))
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	me := node("envoy", "shop", "web")
	detail := &rpcstatus.Status{Code: 3, Message: "cluster c-1 is bad"}
	valid := map[bool][]byte{
		true: encoded(&discoveryv3.DeltaDiscoveryRequest{Node: me, TypeUrl: CDS, ResourceNamesSubscribe: []string{"*", "c-1"},
			ResourceNamesUnsubscribe: []string{"c-2"}, InitialResourceVersions: map[string]string{"c-3": "v"}, ResponseNonce: "n", ErrorDetail: detail}),
		false: encoded(&discoveryv3.DiscoveryRequest{Node: me, TypeUrl: CDS, ResourceNames: []string{"c-1"}, VersionInfo: "v", ResponseNonce: "n", ErrorDetail: detail}),
	}
	random := rand.New(rand.NewPCG(3, 4))
	for n := range 1000 {
		ctx, cancel := context.WithCancel(context.Background())
		assault(ctx, t, conn, attack{delta: n%2 == 0, send: func(_ func(proto.Message) bool, raw func([]byte) bool) {
			ok := raw(mutated(random, valid[n%2 == 0]))
			for range 3 {
				ok = ok && raw(mutated(random, valid[n%2 == 0]))
			}
		}})
		if n%100 == 99 {
			text := fmt.Sprint("after ", n)
			state(t, s, 25, text)
			good.await(content(cluster("c-0", text)))
		}
		cancel()
	}
}

// mutated is a message with up to four changes.
func mutated(random *rand.Rand, message []byte) []byte {
	b := slices.Clone(message)
	for range 1 + random.IntN(4) {
		at := random.IntN(len(b))
		switch random.IntN(3) {
		case 0:
			b[at] ^= 1 << random.IntN(8)
		case 1:
			b = slices.Delete(b, at, min(at+1+random.IntN(4), len(b)))
		default:
			b = slices.Insert(b, at, byte(random.Uint32()), byte(random.Uint32()))
		}
	}
	return b
}

// siege plays an attack on several streams of one connection and measures what
// they cost, and the second time what they leave behind: room that the server
// keeps for as many once more is no leak. goesOn has another client go through
// exchanges.
func siege(t *testing.T, addr string, a attack, goesOn func(when string)) {
	goesOn("before")
	for _, left := range []int{bearable, 8 << 10} {
		before := heap()
		cost := besieged(t, addr, a, goesOn, before)
		if cost > bearable {
			t.Errorf("each costs %d KiB, at most %d are bearable", cost>>10, bearable>>10)
		}
		goesOn("after")
		after := retained(before, left)
		if after > left {
			t.Errorf("each leaves %d KiB behind", after>>10)
		}
		t.Logf("each costs %d KiB and leaves %d KiB", cost>>10, after>>10)
	}
}

// besieged is what each stream of an attack costs while they last.
func besieged(t *testing.T, addr string, a attack, goesOn func(when string), before int) int {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10)) // what waits at the client is not the server's
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var ended []chan struct{}
	for range hostile {
		ended = append(ended, assault(ctx, t, conn, a))
	}
	goesOn("meanwhile")
	for _, e := range ended {
		if !a.ends {
			break
		}
		select {
		case <-e:
		case <-time.After(2 * patience):
			t.Fatal("the stream goes on")
		}
	}
	return retained(before, bearable)
}

// retained is what each stream of an attack makes the server keep: some things are
// kept for a while, and do not count if they are gone in time.
func retained(before, bound int) int {
	now := (heap() - before) / hostile
	for end := time.Now().Add(3 * patience); now > bound && time.Now().Before(end); now = (heap() - before) / hostile {
		time.Sleep(100 * time.Millisecond)
	}
	return now
}

// assault plays an attack on one stream and returns what is closed when it ended.
func assault(ctx context.Context, t *testing.T, conn *grpc.ClientConn, a attack) chan struct{} {
	t.Helper()
	method := "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
	if a.delta {
		method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, grpc.ForceCodecV2(bare{}))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	if !a.mute {
		go func() {
			for stream.RecvMsg(nil) == nil {
			}
			close(ended)
		}()
	}
	raw := func(b []byte) bool { return stream.SendMsg(b) == nil }
	a.send(func(m proto.Message) bool {
		b, err := proto.Marshal(m)
		return err == nil && raw(b)
	}, raw)
	return ended
}

// heap is what is in use after what can be given back has been.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

package protocol

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// fault is what a case found: it is thrown by whatever looks at a server, and
// caught by whoever runs the case. Its text is the same in every run.
type fault string

func fail(format string, args ...any) { panic(fault(fmt.Sprintf(format, args...))) }

// body is a resource as it arrived. Version is empty where the protocol has
// none of its own for a resource.
type body struct {
	version string
	value   []byte
	bare    bool // it has no body
	ttl     bool
	aliases []string
}

// is reports whether a body is a message.
func (b body) is(m proto.Message) bool {
	got := m.ProtoReflect().New().Interface()
	return !b.bare && proto.Unmarshal(b.value, got) == nil && proto.Equal(got, m)
}

// response is an answer of either protocol.
type response struct {
	typeURL, nonce, version string
	names                   []string // in order, with repetitions
	resources               map[string]body
	removed                 []string
	size                    int
}

// has reports whether a response carries a resource.
func (r response) has(name string) bool { _, ok := r.resources[name]; return ok }

// client is one stream of a proxy that is made by hand. It decides nothing by
// itself: each of its methods is something that a client may do.
type client struct {
	delta  bool
	node   *corev3.Node
	wait   time.Duration // how long to wait for what must come
	conn   *grpc.ClientConn
	stream grpc.ClientStream
	cancel context.CancelFunc
	got    chan response
	ended  chan struct{}
	err    error // why the stream ended
	asked  map[string]*asked
	// has is what the client has by now: what it accepted, by type and name.
	has map[string]map[string]body
	// refuses, when set, says why a response is not accepted.
	refuses func(response) string
	// examine, when set, looks at each response before it is answered.
	examine func(response)
	sent    int // requests so far
	log     seen
}

// asked is what was said and heard of one type.
type asked struct {
	names          map[string]bool // "*" too
	nonce, version string          // of the newest response, and of the one accepted
}

// dialing says how a client connects.
type dialing struct {
	addr  string
	delta bool
	node  *corev3.Node
	creds credentials.TransportCredentials
	wait  time.Duration
	max   int // bytes of a message; 4 MiB when zero
}

func dial(d dialing) *client {
	if d.creds == nil {
		d.creds = insecure.NewCredentials()
	}
	opts := []grpc.DialOption{grpc.WithTransportCredentials(d.creds)}
	if d.max > 0 {
		opts = append(opts, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(d.max)))
	}
	conn, err := grpc.NewClient(d.addr, opts...)
	if err != nil {
		fail("the address is refused")
	}
	c := &client{delta: d.delta, node: d.node, wait: d.wait, conn: conn, got: make(chan response, 10000), ended: make(chan struct{}),
		asked: map[string]*asked{}, has: map[string]map[string]body{}}
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	ads := discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
	if d.delta {
		c.stream, err = ads.DeltaAggregatedResources(ctx)
	} else {
		c.stream, err = ads.StreamAggregatedResources(ctx)
	}
	if err != nil {
		c.err = err
		close(c.ended)
		return c
	}
	go c.receive()
	return c
}

func (c *client) close() {
	c.cancel()
	c.conn.Close()
	<-c.ended
}

// receive runs until the stream ends.
func (c *client) receive() {
	defer close(c.ended)
	for {
		var r response
		if c.delta {
			p := &discoveryv3.DeltaDiscoveryResponse{}
			if c.err = c.stream.RecvMsg(p); c.err != nil {
				return
			}
			r = deltaResponse(p)
		} else {
			p := &discoveryv3.DiscoveryResponse{}
			if c.err = c.stream.RecvMsg(p); c.err != nil {
				return
			}
			r = worldResponse(p)
		}
		c.got <- r
	}
}

func deltaResponse(p *discoveryv3.DeltaDiscoveryResponse) response {
	r := response{typeURL: p.GetTypeUrl(), nonce: p.GetNonce(), version: p.GetSystemVersionInfo(), resources: map[string]body{},
		removed: p.GetRemovedResources(), size: proto.Size(p)}
	for _, res := range p.GetResources() {
		r.names = append(r.names, res.GetName())
		r.resources[res.GetName()] = body{res.GetVersion(), res.GetResource().GetValue(), res.GetResource() == nil, res.GetTtl() != nil, res.GetAliases()}
	}
	return r
}

func worldResponse(p *discoveryv3.DiscoveryResponse) response {
	r := response{typeURL: p.GetTypeUrl(), nonce: p.GetNonce(), version: p.GetVersionInfo(), resources: map[string]body{}, size: proto.Size(p)}
	for _, a := range p.GetResources() {
		b := body{value: a.GetValue()}
		wrapper := &discoveryv3.Resource{}
		if a.MessageIs(wrapper) && a.UnmarshalTo(wrapper) == nil {
			b = body{wrapper.GetVersion(), wrapper.GetResource().GetValue(), wrapper.GetResource() == nil, wrapper.GetTtl() != nil, wrapper.GetAliases()}
			a = wrapper.GetResource()
		}
		name := nameIn(p.GetTypeUrl(), a)
		r.names = append(r.names, name)
		r.resources[name] = b
	}
	return r
}

// request is one of either protocol, spelled out.
type request struct {
	node           *corev3.Node
	typeURL        string
	names          []string // of the state of the world: all that is wanted
	add, remove    []string // of the delta
	nonce, version string
	initial        map[string]string
	refused        string
}

// send sends a request as it is. The node is in the first alone.
func (c *client) send(q request) {
	if c.sent == 0 && q.node == nil {
		q.node = c.node
	}
	c.sent++
	trace("-> %s +%v -%v =%v nonce %q refused %q", short(q.typeURL), q.add, q.remove, q.names, q.nonce, q.refused)
	var detail *rpcstatus.Status
	if q.refused != "" {
		detail = &rpcstatus.Status{Code: 3, Message: q.refused}
	}
	var m proto.Message = &discoveryv3.DiscoveryRequest{Node: q.node, TypeUrl: q.typeURL, ResourceNames: q.names,
		VersionInfo: q.version, ResponseNonce: q.nonce, ErrorDetail: detail}
	if c.delta {
		m = &discoveryv3.DeltaDiscoveryRequest{Node: q.node, TypeUrl: q.typeURL, ResourceNamesSubscribe: q.add, ResourceNamesUnsubscribe: q.remove,
			InitialResourceVersions: q.initial, ResponseNonce: q.nonce, ErrorDetail: detail}
	}
	if c.stream != nil {
		_ = c.stream.SendMsg(m) // what went wrong is what the stream ends with
	}
}

func (c *client) of(typeURL string) *asked {
	if c.asked[typeURL] == nil {
		c.asked[typeURL] = &asked{names: map[string]bool{}}
	}
	return c.asked[typeURL]
}

// subscribe asks for more names of a type; no names at all are the wildcard of old.
func (c *client) subscribe(typeURL string, names ...string) { c.change(typeURL, names, nil) }

// unsubscribe asks for fewer.
func (c *client) unsubscribe(typeURL string, names ...string) { c.change(typeURL, nil, names) }

// change asks for more and for fewer in one request.
func (c *client) change(typeURL string, add, remove []string) {
	a := c.of(typeURL)
	for _, n := range add {
		a.names[n] = true
	}
	for _, n := range remove {
		delete(a.names, n)
	}
	if c.delta {
		c.send(request{typeURL: typeURL, add: add, remove: remove})
		return
	}
	c.send(request{typeURL: typeURL, names: slices.Sorted(maps.Keys(a.names)), nonce: a.nonce, version: a.version})
}

// resume asks for names of a type as a client does that had some before. Only a
// delta can say what it had.
func (c *client) resume(typeURL string, had map[string]body, names ...string) {
	for _, n := range names {
		c.of(typeURL).names[n] = true
	}
	initial := map[string]string{}
	for name, b := range had {
		initial[name] = b.version
	}
	c.send(request{typeURL: typeURL, add: names, names: names, initial: initial})
}

// answer accepts a response, or refuses it when a reason is given. Answers say
// again what is wanted, as the state of the world demands.
func (c *client) answer(r response, refused string) {
	if c.examine != nil {
		c.examine(r)
	}
	a := c.of(r.typeURL)
	if refused == "" {
		c.apply(r)
		a.version = r.version
	}
	c.send(request{typeURL: r.typeURL, names: slices.Sorted(maps.Keys(a.names)), nonce: r.nonce, version: a.version, refused: refused})
}

// apply puts a response to use.
func (c *client) apply(r response) {
	if c.has[r.typeURL] == nil || !c.delta && fullState[r.typeURL] {
		c.has[r.typeURL] = map[string]body{}
	}
	maps.Copy(c.has[r.typeURL], r.resources)
	for _, n := range r.removed {
		delete(c.has[r.typeURL], n)
	}
}

// next waits for a response and does not answer it.
func (c *client) next() response {
	r, ok := c.poll(c.wait)
	if !ok {
		fail("nothing was sent")
	}
	return r
}

// poll waits a while for a response. A stream that ends is a fault.
func (c *client) poll(within time.Duration) (response, bool) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	var r response
	select {
	case r = <-c.got:
	case <-c.ended:
		select {
		case r = <-c.got: // it came before the end
		default:
			fail("the stream ended")
		}
	case <-timer.C:
		return response{}, false
	}
	if slices.Contains(r.names, "") {
		fail("a resource is no %s, or has no name", short(r.typeURL))
	}
	trace("<- %s %v removed %v", short(r.typeURL), r.names, r.removed)
	c.of(r.typeURL).nonce = r.nonce
	c.log = append(c.log, r)
	return r, true
}

// take waits for a response and answers it.
func (c *client) take() response {
	r := c.next()
	c.reply(r)
	return r
}

func (c *client) reply(r response) {
	why := ""
	if c.refuses != nil {
		why = c.refuses(r)
	}
	c.answer(r, why)
}

// await takes responses until all of what is wanted has come, and returns them.
func (c *client) await(wants ...want) seen { return c.more(nil, wants...) }

// more does so too, after what has been seen already, which it returns as well.
func (c *client) more(got seen, wants ...want) seen {
	for end := time.Now().Add(c.wait); ; {
		missing := ""
		for _, w := range wants {
			if why := w(got); why != "" && missing == "" {
				missing = why
			}
		}
		if missing == "" {
			return got
		}
		r, ok := c.poll(time.Until(end))
		if !ok {
			fail("%s", missing)
		}
		c.reply(r)
		got = append(got, r)
	}
}

// dies waits until the stream ends, and returns why.
func (c *client) dies() error {
	timer := time.NewTimer(c.wait)
	defer timer.Stop()
	select {
	case <-c.ended:
	case <-timer.C:
		fail("the stream goes on")
	}
	return c.err
}

// seen are responses in the order in which they came.
type seen []response

// of are those of a type.
func (s seen) of(typeURL string) seen {
	var out seen
	for _, r := range s {
		if r.typeURL == typeURL {
			out = append(out, r)
		}
	}
	return out
}

// times counts how often a resource was sent.
func (s seen) times(typeURL, name string) int {
	n := 0
	for _, r := range s.of(typeURL) {
		if r.has(name) {
			n++
		}
	}
	return n
}

// without fails when any of the resources was sent.
func (s seen) without(typeURL string, names ...string) {
	for _, n := range names {
		if s.times(typeURL, n) > 0 {
			fail("%s %s was sent", short(typeURL), n)
		}
		for _, r := range s.of(typeURL) {
			if slices.Contains(r.removed, n) {
				fail("%s %s was said to be gone", short(typeURL), n)
			}
		}
	}
}

// empty fails when anything of the types came; of any, when none is given.
func (s seen) empty(types ...string) {
	for _, r := range s {
		if len(types) == 0 || slices.Contains(types, r.typeURL) {
			slices.Sort(r.names)
			fail("%s was sent though nothing was to come: %v, gone %v", short(r.typeURL), r.names, r.removed)
		}
	}
}

// want says what is missing of what has been seen, if anything is.
type want func(seen) string

// sent wants resources of a type.
func sent(typeURL string, names ...string) want {
	return func(s seen) string {
		for _, n := range names {
			if s.times(typeURL, n) == 0 {
				return fmt.Sprintf("%s %s was not sent", short(typeURL), n)
			}
		}
		return ""
	}
}

// content wants a resource with a content.
func content(m proto.Message) want {
	return func(s seen) string {
		for _, r := range s.of(typeOf(m)) {
			if b, ok := r.resources[nameOf(m)]; ok && b.is(m) {
				return ""
			}
		}
		return fmt.Sprintf("%s %s was not sent as it is now", short(typeOf(m)), nameOf(m))
	}
}

// gone wants to be told that there is no such resource.
func gone(typeURL string, names ...string) want {
	return func(s seen) string {
		for _, n := range names {
			if !slices.ContainsFunc(s.of(typeURL), func(r response) bool { return slices.Contains(r.removed, n) }) {
				return fmt.Sprintf("%s %s was not said to be gone", short(typeURL), n)
			}
		}
		return ""
	}
}

// anything wants some response of a type.
func anything(typeURL string) want {
	return func(s seen) string {
		if len(s.of(typeURL)) == 0 {
			return fmt.Sprintf("no %s was sent", short(typeURL))
		}
		return ""
	}
}

// node is that of a proxy which runs as an account.
func node(backend, namespace, account string) *corev3.Node {
	meta, err := structpb.NewStruct(map[string]any{"backend": backend, "namespace": namespace, "account": account})
	if err != nil {
		panic(err)
	}
	return &corev3.Node{Id: "sidecar~" + namespace + "/" + account, Metadata: meta}
}

var traced = flag.Bool("show", false, "print what clients send and receive, and what servers are told")

// trace prints what is going on, for whoever looks for a fault.
func trace(format string, args ...any) {
	if *traced {
		fmt.Printf(time.Now().Format("05.000 ")+format+"\n", args...)
	}
}

package xds

import (
	"iter"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// response is a message of either protocol that is put together of what was
// encoded before.
type response struct {
	kind           kind
	sotw           bool
	version, nonce string
	items          []item     // sorted by id
	removed        []string   // delta only
	packed         mem.Buffer // all items in one piece, where others get the same
	flight         *flight
}

// frames is the encoded response: the shared bytes of its resources, and a tail
// of its own. The order of fields is free in protobuf.
func (r *response) frames() mem.BufferSlice {
	var out mem.BufferSlice
	if r.packed != nil {
		out = mem.BufferSlice{r.packed}
	} else {
		out = make(mem.BufferSlice, 0, len(r.items)+1)
		for _, i := range r.items {
			out = append(out, i.resource.bytes(r.sotw))
		}
	}
	size := 256
	for _, name := range r.removed {
		size += len(name) + 4
	}
	tail := make([]byte, 0, size)
	tail = appendText(tail, fieldVersion, r.version)
	tail = appendText(tail, fieldTypeURL, r.kind.url())
	tail = appendText(tail, fieldNonce, r.nonce)
	for _, name := range r.removed {
		tail = appendText(tail, fieldRemoved, name)
	}
	return append(out, mem.SliceBuffer(tail))
}

func (r *resource) bytes(sotw bool) mem.Buffer {
	if sotw {
		return r.sotw
	}
	return r.delta
}

// request is a message of either protocol: delta or whole is set. Names stay as
// they came, for most of them are known; the messages hold everything else.
type request struct {
	delta *discoveryv3.DeltaDiscoveryRequest
	whole *discoveryv3.DiscoveryRequest
	raw   []byte
	many  int    // how many names and versions there are
	seen  uint16 // the numbers of their fields, as bits
	star  bool   // one subscribes everything
	// refused is what is wrong with its size. The stream ends with it.
	refused error
}

func newRequest(sotw bool) *request {
	if sotw {
		return &request{whole: &discoveryv3.DiscoveryRequest{}}
	}
	return &request{delta: &discoveryv3.DeltaDiscoveryRequest{}}
}

func (q *request) node() *corev3.Node {
	if q.delta != nil {
		return q.delta.GetNode()
	}
	return q.whole.GetNode()
}

func (q *request) typeURL() string {
	if q.delta != nil {
		return q.delta.GetTypeUrl()
	}
	return q.whole.GetTypeUrl()
}

// The fields of requests that can be many.
const (
	deltaSubscribe       = 3
	deltaUnsubscribe     = 4
	deltaInitialVersions = 5
	wholeNames           = 3
)

// isMany reports whether a field stays as it came. Locators are names with
// parameters, which nobody reads.
func (q *request) isMany(n protowire.Number) bool {
	if q.delta != nil {
		return n >= deltaSubscribe && n <= deltaInitialVersions || n == 8 || n == 9
	}
	return n == wholeNames || n == 7
}

// codec encodes responses, decodes requests within limits, and leaves the
// messages of other services to the codec for protobuf.
type codec struct {
	encoding.CodecV2
	options *Options
}

func newCodec(o *Options) codec { return codec{encoding.GetCodecV2(protocodec.Name), o} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if r, ok := v.(*response); ok {
		return r.frames(), nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	q, ok := v.(*request)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	// The pool has nothing between 32 KiB and 1 MiB, which is much for many at once.
	return q.decode(data.Materialize(), c.options)
}

// decode reads a request from bytes that it keeps.
func (q *request) decode(b []byte, o *Options) error {
	q.raw = b
	rest, from := []byte(nil), 0 // from: where what is not in rest begins
	for at := 0; at < len(b); {
		number, _, n := protowire.ConsumeField(b[at:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		if q.isMany(number) {
			rest = append(rest, b[from:at]...)
			from = at + n
			q.many++
			q.seen |= 1 << number
			q.star = q.star || n == 3 && b[at+2] == everyName[0] && (number == deltaSubscribe || number == wholeNames)
		}
		at += n
	}
	if q.many > o.MaxNames {
		q.refused = exceeded("the request has %d names, at most %d are read", q.many, o.MaxNames)
		return nil
	}
	if from == 0 {
		rest = b
	} else {
		rest = append(rest, b[from:]...)
	}
	if q.delta != nil {
		return proto.Unmarshal(rest, q.delta)
	}
	return proto.Unmarshal(rest, q.whole)
}

// fields are the values of a field that can be many.
func (q *request) fields(wanted protowire.Number) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if q.seen&(1<<wanted) == 0 {
			return
		}
		each(q.raw, func(number protowire.Number, value []byte) bool { return number != wanted || yield(value) })
	}
}

// pair reads an entry of a map of strings.
func pair(entry []byte) (key, value []byte) {
	each(entry, func(number protowire.Number, v []byte) bool {
		if number == 1 {
			key = v
		} else if number == 2 {
			value = v
		}
		return true
	})
	return key, value
}

// each calls f for the fields of a message that are strings or messages, until it
// returns false.
func each(b []byte, f func(protowire.Number, []byte) bool) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return
		}
		if kind == protowire.BytesType {
			if value, _ := protowire.ConsumeBytes(b); !f(number, value) {
				return
			}
		}
		b = b[n:]
	}
}

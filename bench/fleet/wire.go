package fleet

import (
	"errors"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Raw passes bytes through gRPC as they are. It calls itself proto, for that is
// what they are.
type Raw struct{}

var _ encoding.CodecV2 = Raw{}

// Name implements encoding.CodecV2.
func (Raw) Name() string { return "proto" }

// Marshal implements encoding.CodecV2. It takes []byte.
func (Raw) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, errors.New("the raw codec takes bytes alone")
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

// Unmarshal implements encoding.CodecV2. It fills a *mem.Buffer, which whoever asked
// has to free.
func (Raw) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*mem.Buffer)
	if !ok {
		return errors.New("the raw codec fills a buffer alone")
	}
	*b = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}

// response is what a client reads of a DeltaDiscoveryResponse. Its slices are of
// the buffer that was read.
type response struct {
	typeURL, nonce []byte
	removed        int
}

// errWire: what came is not a DeltaDiscoveryResponse.
var errWire = errors.New("the response is malformed")

// fields calls f for every length-delimited field of a message.
func fields(b []byte, f func(num protowire.Number, v []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errWire
		}
		b = b[n:]
		if typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return errWire
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return errWire
		}
		if err := f(num, v); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// parse reads a response and calls f for every resource in it.
func parse(b []byte, f func(name, version, body []byte)) (response, error) {
	var r response
	err := fields(b, func(num protowire.Number, v []byte) error {
		switch num {
		case 2:
			return resource(v, f)
		case 4:
			r.typeURL = v
		case 5:
			r.nonce = v
		case 6:
			r.removed++
		}
		return nil
	})
	return r, err
}

func resource(b []byte, f func(name, version, body []byte)) error {
	var name, version, body []byte
	err := fields(b, func(num protowire.Number, v []byte) error {
		switch num {
		case 1:
			version = v
		case 2:
			return fields(v, func(num protowire.Number, v []byte) error {
				if num == 2 {
					body = v
				}
				return nil
			})
		case 3:
			name = v
		}
		return nil
	})
	f(name, version, body)
	return err
}

// ack accepts a response.
func ack(r response) []byte {
	b := make([]byte, 0, len(r.typeURL)+len(r.nonce)+8)
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), r.typeURL)
	return protowire.AppendBytes(protowire.AppendTag(b, 6, protowire.BytesType), r.nonce)
}

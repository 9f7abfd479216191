package sink

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// typeKey says in a resource's JSON what it is.
const typeKey = "@type"

// wellKnownPackage has the messages that have a form of their own in JSON.
const wellKnownPackage = "google.protobuf"

// plainMessage turns a message into maps and lists as its JSON has them (the
// mapping that Protocol Buffers define). To print JSON and parse it again takes
// longer than all else that is done with a resource; only what that mapping
// treats as special goes that way.
func plainMessage(m protoreflect.Message) (any, error) {
	name := m.Descriptor().FullName()
	if name.Parent() == wellKnownPackage {
		return wellKnown(m, string(name.Name()))
	}
	out := map[string]any{}
	var err error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		out[fd.JSONName()], err = plainField(fd, v)
		return err == nil
	})
	return out, err
}

func wellKnown(m protoreflect.Message, name string) (any, error) {
	switch msg := m.Interface().(type) {
	case *anypb.Any:
		inner, err := msg.UnmarshalNew()
		if err != nil {
			return nil, fmt.Errorf("unpacking %s: %w", msg.GetTypeUrl(), err)
		}
		v, err := plainMessage(inner.ProtoReflect())
		if out, ok := v.(map[string]any); ok && inner.ProtoReflect().Descriptor().FullName().Parent() != wellKnownPackage {
			out[typeKey] = msg.GetTypeUrl()
			return out, err
		}
		return map[string]any{typeKey: msg.GetTypeUrl(), "value": v}, err
	case *durationpb.Duration:
		if msg.GetNanos() == 0 {
			return strconv.FormatInt(msg.GetSeconds(), 10) + "s", nil
		}
	}
	if fd := m.Descriptor().Fields().ByName("value"); fd != nil && strings.HasSuffix(name, "Value") && m.Descriptor().Fields().Len() == 1 && !fd.IsList() {
		return plainOne(fd, m.Get(fd)) // a wrapper
	}
	text, err := protojson.Marshal(m.Interface())
	if err != nil {
		return nil, fmt.Errorf("printing %s: %w", name, err)
	}
	var out any
	return out, json.Unmarshal(text, &out)
}

func plainField(fd protoreflect.FieldDescriptor, v protoreflect.Value) (any, error) {
	switch {
	case fd.IsList():
		list := v.List()
		out := make([]any, list.Len())
		for i := range out {
			var err error
			if out[i], err = plainOne(fd, list.Get(i)); err != nil {
				return nil, err
			}
		}
		return out, nil
	case fd.IsMap():
		out := map[string]any{}
		var err error
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			out[k.String()], err = plainOne(fd.MapValue(), v)
			return err == nil
		})
		return out, err
	}
	return plainOne(fd, v)
}

func plainOne(fd protoreflect.FieldDescriptor, v protoreflect.Value) (any, error) {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return plainMessage(v.Message())
	case protoreflect.EnumKind:
		if value := fd.Enum().Values().ByNumber(v.Enum()); value != nil {
			return string(value.Name()), nil
		}
		return float64(v.Enum()), nil
	case protoreflect.BytesKind:
		return base64.StdEncoding.EncodeToString(v.Bytes()), nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return v.String(), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return float64(v.Uint()), nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return float64(v.Int()), nil
	case protoreflect.FloatKind:
		return strconv.ParseFloat(strconv.FormatFloat(v.Float(), 'g', -1, 32), 64)
	}
	return v.Interface(), nil // bool, string, double
}

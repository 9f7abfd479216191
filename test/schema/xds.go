package schema

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// XDS reports what a message and every message packed inside it break of the
// constraints of their definitions. A packed message of an unknown type is an
// error too: nobody could read it.
func XDS(m proto.Message) error {
	var found []error
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			found = append(found, fmt.Errorf("%s: %w", m.ProtoReflect().Descriptor().FullName(), err))
		}
	}
	found = append(found, packed(m.ProtoReflect())...)
	return errors.Join(found...)
}

// packed looks into every Any below a message.
func packed(m protoreflect.Message) []error {
	if a, ok := m.Interface().(*anypb.Any); ok {
		inner, err := a.UnmarshalNew()
		if err != nil {
			return []error{fmt.Errorf("unpacking %s: %w", a.GetTypeUrl(), err)}
		}
		if err := XDS(inner); err != nil {
			return []error{err}
		}
		return nil
	}
	var found []error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, e protoreflect.Value) bool {
				found = append(found, packed(e.Message())...)
				return true
			})
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				found = append(found, packed(v.List().Get(i).Message())...)
			}
		case !fd.IsMap() && !fd.IsList() && fd.Message() != nil:
			found = append(found, packed(v.Message())...)
		}
		return true
	})
	return found
}

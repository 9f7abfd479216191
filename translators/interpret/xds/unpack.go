package xds

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Valid holds a message against the constraints that its own definition states,
// and which every reader of the API enforces.
func Valid(m proto.Message) error {
	if v, ok := m.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// Unpack returns what is packed, if it is valid.
func Unpack(a *anypb.Any) (proto.Message, error) {
	m, err := a.UnmarshalNew()
	if err != nil {
		return nil, err
	}
	return m, Valid(m)
}

// UnpackTo unpacks into a message of the type that is expected.
func UnpackTo(a *anypb.Any, m proto.Message) error {
	if err := a.UnmarshalTo(m); err != nil {
		return err
	}
	return Valid(m)
}

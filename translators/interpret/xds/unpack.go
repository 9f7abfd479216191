package xds

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshknot/meshknot/translators"
)

// Check refuses an artifact whose payload is no valid resource, or calls itself other
// than the artifact is called.
func Check(a translators.Artifact) error {
	m, ok := a.Payload.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no resource", a.Payload)
	}
	if err := valid(m); err != nil {
		return err
	}
	name := ""
	switch r := m.(type) {
	case interface{ GetName() string }:
		name = r.GetName()
	case interface{ GetClusterName() string }: // endpoints
		name = r.GetClusterName()
	}
	if name != a.ID.Name {
		return fmt.Errorf("calls itself %q", name)
	}
	return nil
}

// valid holds a message against the constraints that its own definition states,
// and which every reader of the API enforces.
func valid(m proto.Message) error {
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
	return m, valid(m)
}

// UnpackTo unpacks into a message of the type that is expected.
func UnpackTo(a *anypb.Any, m proto.Message) error {
	if err := a.UnmarshalTo(m); err != nil {
		return err
	}
	return valid(m)
}

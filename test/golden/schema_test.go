package golden

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/test/schema"
	"github.com/meshknot/meshknot/translators"
)

// schemaOf holds an artifact against the schema of its mesh.
func schemaOf(a translators.Artifact) error {
	switch p := a.Payload.(type) {
	case proto.Message:
		return schema.XDS(p)
	case map[string]any:
		return schema.Istio(p)
	}
	return fmt.Errorf("a payload of type %T has no schema", a.Payload)
}

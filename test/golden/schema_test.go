package golden

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/test/schema"
	"github.com/meshknot/meshknot/translators"
)

// schemas are the definitions of Kubernetes objects, by the end of their group.
var schemas = []struct {
	group string
	check func(map[string]any) error
}{
	{"istio.io", schema.Istio},
	{"gateway.networking.k8s.io", schema.GatewayAPI},
	{"linkerd.io", schema.Linkerd},
	{"consul.hashicorp.com", schema.Consul},
	{"consul", schema.ConsulEntry},
}

// schemaOf holds an artifact against the schema of its mesh.
func schemaOf(a translators.Artifact) error {
	switch p := a.Payload.(type) {
	case proto.Message:
		return schema.XDS(p)
	case map[string]any:
		group, _, _ := strings.Cut(a.ID.Type, "/")
		for _, s := range schemas {
			if strings.HasSuffix(group, s.group) {
				return given(s.check(p))
			}
		}
	}
	return fmt.Errorf("%s has no schema", a.ID.Type)
}

// given passes over definitions that are not there, unless everything real is required.
func given(err error) error {
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("REQUIRE_REAL") != "1" {
		return nil
	}
	return err
}

// The definitions of Linkerd and Consul come in no module; without them their
// objects are not checked, which must not go unseen.
func TestDefinitionsAreThere(t *testing.T) {
	if dir, ok := schema.Folder(); !ok {
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatalf("no definitions of meshes at %s (set MESHKNOT_CRDS)", dir)
		}
		t.Skipf("LOUD SKIP: no definitions of meshes at %s (set MESHKNOT_CRDS): objects of Linkerd and Consul were not checked", dir)
	}
}

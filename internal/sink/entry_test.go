package sink

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
)

// Consul's tools read an entry as JSON; what other meshes read stays YAML.
func TestEntriesAreJSON(t *testing.T) {
	entry := translators.Artifact{ID: translators.ID{Type: "consul/service-defaults", Name: "web"}, Payload: map[string]any{"Kind": "service-defaults", "Name": "web"}}
	object := translators.Artifact{ID: translators.ID{Type: "consul.hashicorp.com/v1alpha1/ServiceDefaults", Name: "shop/web"}, Payload: map[string]any{"kind": "ServiceDefaults"}}
	artifacts := []translators.Artifact{entry, object}
	var b bytes.Buffer
	if err := YAML(&b, artifacts); err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(strings.TrimPrefix(b.String(), "---\n"), "---\n")
	if len(documents) != 2 || !json.Valid([]byte(documents[0])) || documents[1] != "kind: ServiceDefaults\n" {
		t.Errorf("printed as\n%s", b.String())
	}
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := Directory(dir, []translators.Output{{Target: translators.Target{Backend: "consul"}, Artifacts: artifacts}}); err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, dir), ".meshknot consul/service-defaults/web.json consul/servicedefaults/shop/web.yaml"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "consul/service-defaults/web.json")); err != nil || !json.Valid(text) {
		t.Errorf("%s %v", text, err)
	}
}

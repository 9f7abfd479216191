package gatewayapi_test

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/gatewayapi"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/passes"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/smi"
)

// read reads YAML. Objects are in namespace shop unless they say otherwise.
func read(t testing.TB, schemas []input.Schema, texts ...string) (*input.Set, report.Report) {
	t.Helper()
	text := strings.ReplaceAll(strings.Join(texts, "\n---\n"), "metadata: {name:", "metadata: {namespace: shop, name:")
	return input.Read([]string{"-"}, input.Options{Schemas: schemas, Stdin: strings.NewReader(text)})
}

// world is what a text lowers to.
type world struct {
	store *input.Store
	units []ir.Unit
	found report.Report
}

// lowerAll reads YAML and lowers it.
func lowerAll(t testing.TB, s input.Settings, texts ...string) world {
	t.Helper()
	p := translators.Pipeline{Frontends: []translators.Frontend{kube.Frontend(), gatewayapi.Frontend(), smi.Frontend()}, Passes: passes.List()}
	set, found := read(t, p.Schemas(), texts...)
	store := input.NewStore(set, s)
	units, more := p.Lower(store)
	for _, u := range units {
		text, err := json.Marshal(u)
		var back ir.Unit
		if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(back, u) {
			t.Errorf("%s does not survive JSON (%v)", u.Key(), err)
		}
	}
	return world{store, units, slices.Concat(found, more).Sorted()}
}

// moduleDir is where the module of Gateway API is.
func moduleDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

package sink

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// Resources that share an ID are all there, and say for whom they are.
func TestAudiences(t *testing.T) {
	var all []translators.Artifact
	for _, a := range []struct {
		name     string
		audience ir.Audience
	}{
		{"shared:80", ir.Audience{}}, {"shared:80", ir.Audience{Namespace: "shop"}},
		{"shared:80", ir.Audience{Namespace: "shop", Account: "web"}}, {"alone:80", ir.Audience{Namespace: "shop", Account: "web"}},
	} {
		all = append(all, translators.Artifact{ID: translators.ID{Type: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", Name: a.name},
			Audience: a.audience, Payload: &routev3.RouteConfiguration{Name: a.name}})
	}
	dir := filepath.Join(t.TempDir(), "out")
	if n, err := Directory(dir, []translators.Output{{Target: translators.Target{Backend: "envoy"}, Artifacts: all}}); err != nil || n != len(all) {
		t.Fatal(n, err)
	}
	want := ".meshknot envoy/routeconfiguration/alone_80-3e8900f4.yaml envoy/routeconfiguration/for-shop/shared_80-c3ba7db0.yaml " +
		"envoy/routeconfiguration/for-shop_web/shared_80-c3ba7db0.yaml envoy/routeconfiguration/shared_80-c3ba7db0.yaml"
	if got := list(t, dir); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var text bytes.Buffer
	if err := YAML(&text, all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"---\n# for the proxies of namespace shop\n", "---\n# for the proxies of account shop/web\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	if strings.HasPrefix(text.String(), "---\n#") {
		t.Errorf("what is for everybody says for whom it is:\n%s", text.String())
	}
}

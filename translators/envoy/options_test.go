package envoy

import (
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/ir"
)

// A Service whose ports are not known is listened for wherever an option names it.
func TestListenForUnknownPorts(t *testing.T) {
	name := ir.Name{Namespace: "shop", Name: "reviews"}
	o := options{given: map[string]string{"listen.shop/reviews": "a:1", "listen.shop/reviews:80": "b:2", "listen.shop/reviews-v1": "c:3"}}
	for port, want := range map[int32]string{ir.AnyPort: "a b", 80: "b", 81: ""} {
		places, err := o.listen(name, port)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range places {
			got = append(got, p.host)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("port %d: %v, want %q", port, got, want)
		}
	}
}

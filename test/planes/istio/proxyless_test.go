package istio_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/equivalence"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes/istio"
	reader "github.com/meshknot/meshknot/translators/interpret/istio"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// spoken are the golden cases that applications without proxies play here.
var spoken = regexp.MustCompile(`^golden/(split/(weights|match-path|match-header|zero-weight|missing-backend)|` +
	`access/(source|port|path-exact|path-prefix|header-exact|header-present|default-deny-selected|several-grants)|` +
	`specs/grpc|pairs/(split-and-access|grpc-and-access|grpc-and-split))$`)

// TestProxyless holds grpc-go under istiod against the model and the interpreter.
func TestProxyless(t *testing.T) {
	lab.Need(t, istio.NeedsProxyless...)
	p, err := istio.NewProxyless()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	scenes, err := equivalence.Golden("../../cases")
	if err != nil {
		t.Fatal(err)
	}
	r := &equivalence.Runner{Plane: p, Backend: "istio", Read: reader.New, Limit: 40, Draws: 300, Measured: 1, Patience: time.Second,
		Speak: equivalence.AsGRPC, Tally: equivalence.NewTally("istio-grpc", "istio")}
	r.Tally.Programs = p.Programs()
	for i, s := range scenes {
		if spoken.MatchString(s.Name) {
			for _, f := range r.Play(s, uint64(i)) {
				t.Error(f)
			}
		}
	}
	if r.Tally.Asked() < 100 {
		t.Errorf("only %d requests were asked", r.Tally.Asked())
	}
	t.Logf("%s", r.Tally)
	t.Run("Silent", func(t *testing.T) { silent(t, p) })
}

// silent: of a policy that allows nothing istiod tells a gRPC server nothing, so
// that whoever has a certificate is let in. The plane says so and does not call
// it an answer. Where this fails, Istio has learned it.
func silent(t *testing.T, p *istio.Proxyless) {
	q := call(web, "/a/b")
	q.Method = "POST"
	s := scene(ir.GRPC, ir.MatchAll(report.Ref{}), q)
	s.Units[2].Workload.Grants = nil
	if _, err := p.Show(s); err != nil {
		t.Fatal(err)
	}
	if a := p.Ask(q); a.Cannot == "" {
		t.Errorf("%+v", a)
	}
	s = scene(ir.GRPC, ir.MatchAll(report.Ref{}), q)
	if _, err := p.Show(s); err != nil {
		t.Fatal(err)
	}
	for from, app := range map[ir.Identity]string{web: "shop/reviews:8080", stranger: ""} {
		one := q
		one.From = &from
		if from == stranger {
			one.Service, one.Workload, one.Port = ir.Name{}, workload, 8080
		}
		if a := p.Ask(one); a.App != app || a.Denied != (app == "") {
			t.Errorf("%s: %+v", from, a)
		}
	}
	if a := p.Ask(semantics.Request{Workload: workload, Port: 8080, Method: "POST", Path: "/a/b"}); !a.Denied {
		t.Errorf("plain text: %+v", a)
	}
}

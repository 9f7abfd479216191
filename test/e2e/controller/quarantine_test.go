package controller_test

import (
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/controller"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// trap is a front end with a defect: it fails on the Services of TrafficSplits that
// are marked.
type trap struct{}

const mark = "meshknot.io/trap"

func (trap) Name() string                             { return "trap" }
func (trap) Schemas() []input.Schema                  { return nil }
func (trap) Keys(input.Object, input.Reader) []ir.Key { return nil }

func (trap) Lower(r input.Reader, u *ir.Unit) report.Report {
	if u.Service != nil {
		split, _ := r.Get(input.ID{Group: "split.smi-spec.io", Kind: "TrafficSplit", Namespace: u.Service.Namespace, Name: u.Service.Name})
		if split.Annotations[mark] != "" {
			var none []int
			none[len(split.Annotations)]++
		}
	}
	return nil
}

// marked has the trap spring on a split of a Service.
func marked(text string) string {
	return strings.Replace(text, "namespace: shop}", "namespace: shop, annotations: {"+mark+": here}}", 1)
}

// A defect of ours that an object brings to light concerns that object: it is said in
// its report, what was in force of it stays, and all others go on.
func TestAPanicConcernsOneObject(t *testing.T) {
	c := newWorld(t)
	other := func(text string) string { return strings.ReplaceAll(text, "reviews", "ratings") }
	c.apply(shop)
	_, services, _ := strings.Cut(shop, "---")
	c.apply(other(services))
	c.apply(strings.ReplaceAll(binding, "BACKEND", "{name: istio}"))
	c.apply(marked(other(split("9", "1")))) // it is there before the controller is
	running, _ := c.startWith(func(o *controller.Options) {
		p := o.Pipeline
		o.Pipeline.Frontends = append(append([]translators.Frontend{}, p.Frontends...), trap{})
	})
	<-running.Compiled()
	crashed := func(report string, generation float64) {
		t.Helper()
		c.eventually("a report on the defect", func() (bool, any) {
			said, o := c.said(report, "shop-mesh")
			text := strings.Join(texts(cluster.Dig(o, "status", "findings")), " ")
			return strings.Contains(said, "/Crashed") && strings.Contains(text, "index out of range") && cluster.Dig(o, "status", "observedGeneration") == generation, o
		})
	}
	crashed(other(splitReport), 1)
	c.apply(split("9", "1"))
	c.eventually("the split in force", func() (bool, any) {
		said, o := c.said(splitReport, "shop-mesh")
		return said == inForce, o
	})

	c.apply(marked(split("3", "4")))
	crashed(splitReport, 2)
	if w := c.weights(); !has(w, "reviews-v1", 9, "reviews-v2", 1) {
		t.Errorf("what was in force is now %v", w)
	}
	c.apply(other(split("5", "6"))) // server-side apply: the mark goes
	c.eventually("the other one in force", func() (bool, any) {
		w := c.weights()
		return has(w, "ratings-v1", 5, "ratings-v2", 6) && has(w, "reviews-v1", 9), w
	})
	c.apply(split("3", "4"))
	c.eventually("all in force", func() (bool, any) {
		said, o := c.said(splitReport, "shop-mesh")
		w := c.weights()
		return said == inForce && has(w, "reviews-v1", 3, "reviews-v2", 4) && has(w, "ratings-v1", 5), []any{w, o}
	})
}

// texts are the messages of findings.
func texts(list any) (out []string) {
	for _, f := range asList(list) {
		if s, ok := cluster.Dig(f, "message").(string); ok {
			out = append(out, s)
		}
	}
	return out
}

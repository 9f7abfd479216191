package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

const meshController = "istio.io/gateway-controller"

// route is the HTTPRoute that is made of the split, once there is one.
func (c *world) route() lab.Object {
	c.Helper()
	var found lab.Object
	c.eventually("an HTTPRoute", func() (bool, any) {
		list, err := c.kube.List("gateway.networking.k8s.io/v1", "HTTPRoute", "shop")
		for _, o := range list {
			found = o
		}
		return err == nil && len(list) == 1, list
	})
	return found
}

// speak writes the status of a route as the controller of a mesh does.
func (c *world) speak(route lab.Object, status, reason, message string) {
	c.Helper()
	now, err := c.kube.Get(route)
	if err != nil {
		c.Fatal(err)
	}
	now["status"] = lab.Object{"parents": []any{lab.Object{
		"parentRef": lab.Object{"group": "", "kind": "Service", "name": "reviews"}, "controllerName": meshController,
		"conditions": []any{lab.Object{"type": "Accepted", "status": status, "reason": reason, "message": message,
			"observedGeneration": cluster.Dig(now, "metadata", "generation"), "lastTransitionTime": time.Now().UTC().Format(time.RFC3339)}},
	}}}
	if _, err := c.kube.UpdateStatus(now); err != nil {
		c.Fatal(err)
	}
}

// programmed waits until the report, the object and the binding say whether the split is
// in force.
func (c *world) programmed(want string) (report any) {
	c.Helper()
	c.eventually("a report that says "+want, func() (bool, any) {
		said, o := c.said(splitReport, "shop-mesh")
		report = o
		return strings.Contains(said, " "+want+" "), o
	})
	for _, o := range []lab.Object{cluster.Object("split.smi-spec.io/v1alpha4", "TrafficSplit", "shop", "reviews"), cluster.Object("meshknot.io/v1alpha1", "MeshBinding", "", "shop-mesh")} {
		c.eventually(fmt.Sprintf("%s that says %s", o["kind"], want), func() (bool, any) {
			now, err := c.kube.Get(o)
			return err == nil && condition(cluster.Dig(now, "status", "conditions"), "Programmed") == want, now
		})
	}
	return report
}

// What the controller of a mesh has against an object that was written for it is said of
// the policy that it was made of, in its words, until it has no more against it.
func TestAMeshRefusesWhatIsWritten(t *testing.T) {
	c := newWorld(t)
	c.apply(shop)
	c.apply(strings.ReplaceAll(binding, "BACKEND", "{name: gateway-api, options: {authorization: istio}}"))
	c.apply(split("9", "1"))
	_, stop := c.start(nil)
	c.programmed("True/Programmed")
	route := c.route()
	name := cluster.Dig(route, "metadata", "name").(string)

	const words = "the weights are not to the taste of this mesh"
	c.speak(route, "False", "UnsupportedValue", words)
	said := strings.Join(conditionTexts(c.programmed("False/Rejected")), " ")
	for _, want := range []string{"HTTPRoute shop/" + name, meshController, "UnsupportedValue", words} {
		if !strings.Contains(said, want) {
			t.Errorf("the report says %q, and nothing of %q", said, want)
		}
	}
	c.eventually("an event that says so", func() (bool, any) {
		list, err := c.kube.List("events.k8s.io/v1", "Event", "shop")
		for _, e := range list {
			if cluster.Dig(e, "regarding", "name") == "reviews" && cluster.Dig(e, "regarding", "kind") == "TrafficSplit" && cluster.Dig(e, "reason") == "MK3014" && strings.Contains(cluster.Dig(e, "note").(string), words) {
				return true, nil
			}
		}
		return false, []any{list, err}
	})

	stop()
	before := len(c.writes())
	running, stop := c.start(nil)
	<-running.Compiled()
	c.eventually("a controller that has compared everything", func() (bool, any) { return running.Settled(), nil })
	if w := c.writes()[before:]; len(w) > 0 {
		t.Errorf("nothing changed, and a controller that started anew wrote:\n%s", strings.Join(w, "\n"))
	}
	c.programmed("False/Rejected")

	// What it was before is refused; of what it is now the mesh has said nothing yet.
	c.apply(split("3", "4"))
	c.eventually("an edited route", func() (bool, any) {
		now, err := c.kube.Get(route)
		return err == nil && cluster.Dig(now, "metadata", "generation") != cluster.Dig(route, "metadata", "generation"), now
	})
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if said, o := c.said(splitReport, "shop-mesh"); strings.Contains(said, "True/Programmed") {
			t.Fatalf("before the mesh has spoken it is said to be in force: %v", o)
		}
	}
	c.speak(route, "True", "Accepted", "")
	report := c.programmed("True/Programmed")
	if list := findingsOf(report); strings.Contains(list, "MK3014") {
		t.Errorf("there is still a finding: %s", list)
	}
	stop()
}

// findingsOf are those of the first binding in a report.
func findingsOf(report any) string {
	for _, b := range asList(cluster.Dig(report, "status", "backends")) {
		return fmt.Sprint(cluster.Dig(b, "findings"))
	}
	return ""
}

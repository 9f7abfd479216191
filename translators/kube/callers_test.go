package kube_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
)

// A caller goes by its Services, or by its own name where it has none, and so do
// all who are behind a Service of that name, or have that name and no Service.
func TestLookalikes(t *testing.T) {
	account := func(ns, name string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s, namespace: %s}\n---\n", name, ns)
	}
	pods := func(ns, as, app string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s-%s, namespace: %s, labels: {app: %s}}\nspec: {serviceAccountName: %s, containers: []}\n---\n", as, app, ns, app, as)
	}
	service := func(ns, name, app string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s}\nspec: {selector: {app: %s}, ports: [{port: 80}]}\n---\n", name, ns, app)
	}
	for name, k := range map[string]struct{ text, services, lookalikes string }{
		"alone":                     {account("shop", "web"), "", ""},
		"a namesake without pods":   {account("shop", "web") + account("bank", "web"), "", "bank/web"},
		"a namesake with a Service": {account("shop", "web") + account("bank", "web") + pods("bank", "web", "x") + service("bank", "front", "x"), "", ""},
		"a Service of that name":    {account("shop", "web") + pods("bank", "teller", "x") + service("bank", "web", "x"), "", "bank/teller"},
		"a shared Service":          {pods("shop", "web", "x") + pods("shop", "other", "x") + service("shop", "front", "x"), "shop/front", "shop/other"},
		"Services of one name":      {pods("shop", "web", "x") + service("shop", "front", "x") + pods("bank", "teller", "z") + service("bank", "front", "z"), "shop/front", "bank/teller"},
	} {
		set, found := input.ReadFiles([]input.File{{Name: "in.yaml", Data: []byte(k.text)}}, input.Options{Schemas: kube.Schemas()})
		if len(found) > 0 {
			t.Fatalf("%s: %v", name, found)
		}
		s := kube.Source(input.NewStore(set, input.Settings{}).Reader(), ir.Identity{Namespace: "shop", Account: "web"}, ir.Source{})
		var services, lookalikes []string
		for _, n := range s.Services {
			services = append(services, n.String())
		}
		for _, l := range s.Lookalikes {
			lookalikes = append(lookalikes, l.Namespace+"/"+l.Account)
		}
		if strings.Join(services, " ") != k.services || strings.Join(lookalikes, " ") != k.lookalikes {
			t.Errorf("%s: services %v, lookalikes %v", name, services, lookalikes)
		}
	}
}

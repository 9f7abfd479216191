package linkerd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

var accounts = []string{"ann", "bob", "cyd"}

func drawWorkload(t *rapid.T) ir.Workload {
	w := ir.Workload{Namespace: "shop", Account: "api", Enforced: true, Ref: report.Ref{Kind: "ServiceAccount", Name: "api"},
		Pods: []ir.PodClass{{Labels: map[string]string{"app": "api", "v": "1"}}, {Labels: map[string]string{"app": "api", "v": "2"}}},
		Ports: []ir.WorkloadPort{
			{Number: 8080, Protocol: ir.HTTP, Services: []ir.ServicePort{{Service: ir.Name{Namespace: "shop", Name: "api"}, Port: 80}}},
			{Number: 5432, Protocol: ir.TCP, Services: []ir.ServicePort{{Service: ir.Name{Namespace: "shop", Name: "api"}, Port: 5432}}},
		}}
	if rapid.Bool().Draw(t, "probe") {
		w.Probes = append(w.Probes, ir.Probe{Port: 8080, Protocol: ir.HTTP, Path: sample(t, "probe path", []string{"/a", "/healthz"})})
	}
	if rapid.IntRange(0, 3).Draw(t, "grpc probe") == 0 {
		w.Probes = append(w.Probes, ir.Probe{Port: 8080, Protocol: ir.GRPC})
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "grants") {
		n := fmt.Sprintf("g%d", i)
		g := ir.Grant{Name: ir.Name{Namespace: "shop", Name: n}, Ref: report.Ref{Kind: "Grant", Name: n}}
		for _, a := range accounts {
			if rapid.Bool().Draw(t, n+" "+a) {
				g.Sources = append(g.Sources, ir.Source{Identity: ir.Identity{Namespace: "shop", Account: a}})
			}
		}
		for _, p := range []int32{8080, 5432} {
			if rapid.IntRange(0, 2).Draw(t, n+" port") > 0 {
				g.Ports = append(g.Ports, ir.GrantPort{Number: p})
			}
		}
		for k := range rapid.IntRange(1, 2).Draw(t, n+" matches") {
			m := drawMatch(t, fmt.Sprintf("%s.%d", n, k), false)
			if rapid.IntRange(0, 5).Draw(t, n+" whole") == 0 {
				m = ir.MatchAll(report.Ref{})
			}
			g.Matches = append(g.Matches, m)
		}
		w.Grants = append(w.Grants, g)
	}
	return w
}

func drawCall(t *rapid.T, paths []string) semantics.Request {
	q := drawRequest(t, paths)
	q.Workload, q.Port = ir.Name{Namespace: "shop", Name: "api"}, sample(t, "port", []int32{8080, 8080, 8080, 5432})
	q.Raw = q.Port == 5432 || rapid.IntRange(0, 9).Draw(t, "raw") == 0
	if from := sample(t, "from", append([]string{""}, accounts...)); from != "" {
		q.From = &ir.Identity{Namespace: "shop", Account: from}
	}
	return q
}

// probed reports whether a call is a probe with an identity, which Linkerd answers
// too; the table says so.
func probed(w ir.Workload, q semantics.Request) bool {
	path, _, _ := strings.Cut(q.Path, "?")
	return q.From != nil && !q.Raw && slices.ContainsFunc(w.Probes, func(p ir.Probe) bool {
		return p.Port == q.Port && (p.Protocol == ir.HTTP && q.Method == "GET" && path == p.Path)
	})
}

// automatic reports whether Linkerd answers a probe by itself, for want of routes.
func automatic(w ir.Workload, q semantics.Request) bool {
	q.From = &ir.Identity{}
	return probed(w, q)
}

func (j judge) hasRoutes() bool {
	return slices.ContainsFunc(j.kind("HTTPRoute"), func(r object) bool { return list(r, "spec", "parentRefs")[0]["kind"] == "Server" })
}

// What is allowed must be what the model allows: for paths in their normal form
// exactly, for others at most; however old routes are, and in whatever order
// Linkerd counts conditions.
func TestAccessIsAsTheModel(t *testing.T) {
	kept, said := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorkload(t)
		artifacts, found := meshOf(translators.Target{}).workload(w)
		if len(found) > 0 {
			said++
		} else {
			kept++
		}
		j := judgeOf(made(t, artifacts))
		j.methodLast, j.older = rapid.Bool().Draw(t, "method last"), older(t)
		model := semantics.New([]ir.Unit{{Workload: &w}})
		for i := range 24 {
			paths := sentPaths
			if i%3 == 0 {
				paths = nastyPaths
			}
			q := drawCall(t, paths)
			got, servers := j.admits(sample(t, "pod", w.Pods).Labels, q.Port, q)
			if servers != 1 {
				t.Fatalf("%d Servers for port %d", servers, q.Port)
			}
			want := model.Decide(q).Verdict == semantics.Allow
			if probed(w, q) || !j.hasRoutes() && automatic(w, q) {
				continue
			}
			if got && !want {
				t.Fatalf("LET THROUGH: %+v from %v\n%v", q, q.From, artifacts)
			}
			if !got && want && i%3 != 0 && len(found) == 0 {
				t.Fatalf("denied: %+v from %v\n%v", q, q.From, artifacts)
			}
		}
	})
	t.Logf("kept %d said %d", kept, said)
	if kept < 3*said {
		t.Errorf("all was granted in %d cases only, and not in %d", kept, said)
	}
}

// Grants to different callers that meet in all their ways: each caller may do
// exactly what some grant of theirs says.
func TestOverlappingGrants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := ir.Workload{Namespace: "shop", Account: "api", Enforced: true, Pods: []ir.PodClass{{Labels: map[string]string{"app": "api"}}},
			Ports: []ir.WorkloadPort{{Number: 8080, Protocol: ir.HTTP}}}
		if rapid.Bool().Draw(t, "probe") {
			w.Probes = []ir.Probe{{Port: 8080, Protocol: ir.HTTP, Path: "/a"}}
		}
		for i := range rapid.IntRange(2, 4).Draw(t, "grants") {
			n := fmt.Sprintf("g%d", i)
			m := ir.Match{Path: sample(t, n, somePaths), Methods: sample(t, n+" methods", [][]string{{"*"}, {"GET"}})}
			if rapid.IntRange(0, 3).Draw(t, n+" header") == 0 {
				m.Headers = []ir.HeaderMatch{{Name: "h1", Value: ir.StringMatch{Kind: ir.MatchAny}}}
			}
			w.Grants = append(w.Grants, ir.Grant{Name: ir.Name{Namespace: "shop", Name: n}, Matches: []ir.Match{m}, Ports: []ir.GrantPort{{Number: 8080}},
				Sources: []ir.Source{{Identity: ir.Identity{Namespace: "shop", Account: sample(t, n+" caller", accounts)}}}})
		}
		artifacts, found := meshOf(translators.Target{}).workload(w)
		j := judgeOf(made(t, artifacts))
		j.methodLast, j.older = rapid.Bool().Draw(t, "method last"), older(t)
		model := semantics.New([]ir.Unit{{Workload: &w}})
		for _, path := range slices.Concat(sentPaths, nastyPaths) {
			for _, method := range []string{"GET", "PURGE"} {
				for _, from := range []string{"", "ann", "bob", "cyd"} {
					for _, headers := range []map[string][]string{nil, {"h1": {"x"}}} {
						q := semantics.Request{Workload: ir.Name{Namespace: "shop", Name: "api"}, Port: 8080, Method: method, Path: path, Headers: headers}
						if from != "" {
							q.From = &ir.Identity{Namespace: "shop", Account: from}
						}
						got, _ := j.admits(w.Pods[0].Labels, 8080, q)
						want := model.Decide(q).Verdict == semantics.Allow
						switch {
						case probed(w, q), !j.hasRoutes() && automatic(w, q):
						case got && !want:
							t.Fatalf("LET THROUGH: %s %s from %s\n%v", method, path, from, artifacts)
						case !got && want && len(found) == 0 && slices.Contains(sentPaths, path):
							t.Fatalf("denied: %s %s from %s\n%v", method, path, from, artifacts)
						}
					}
				}
			}
		}
	})
}

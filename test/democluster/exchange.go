package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// istio is the file that moves the namespace.
func istio() string { return cluster.Path("examples", "bindings", "istio.yaml") }

// plan runs the verb; what it shows has to be what then happens.
func (s *show) plan() (word string, below []string, err error) {
	binary, err := s.lab.Meshknot()
	if err != nil {
		return "", nil, err
	}
	said, err := exec.Command(binary, "plan", "-f", istio(), "--against", "cluster", "--kubeconfig", s.cluster.Kubeconfig, "--color", "never").CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 { // which says that something changes
		return "", nil, fmt.Errorf("%w\n%s", err, said)
	}
	below = short(strings.Split(strings.TrimSpace(string(said)), "\n"))
	if !slices.ContainsFunc(below, func(l string) bool { return strings.Contains(l, "VirtualService") }) {
		return "", nil, differs{"a VirtualService that is created", string(said)}
	}
	return "it changes something", below, nil
}

// short leaves of a plan what concerns the new mesh, and counts the rest.
func short(plan []string) (out []string) {
	gone := 0
	for i, l := range plan {
		word := strings.TrimSpace(l)
		switch verb, _, _ := strings.Cut(word, " "); {
		case verb == "-":
			gone++
		case verb == "+", verb == "opens", verb == "closes", verb == "strays", strings.HasPrefix(verb, "binding"), i == len(plan)-1:
			if gone > 0 && verb != "-" {
				out, gone = append(out, fmt.Sprintf("  - %d resources that Envoy is served", gone)), 0
			}
			out = append(out, l)
		}
	}
	return out
}

// exchange moves the namespace. The example's binding has the name of the one that
// there is, and takes its place.
func (s *show) exchange() (word string, below []string, err error) {
	if err := s.cluster.ApplyFiles(istio()); err != nil {
		return "", nil, err
	}
	err = s.cluster.Eventually("VirtualService", func() (bool, any) {
		below = s.written()
		return slices.ContainsFunc(below, func(l string) bool { return strings.HasPrefix(l, "VirtualService") }) &&
			slices.ContainsFunc(below, func(l string) bool { return strings.HasPrefix(l, "AuthorizationPolicy") }), s.bound(below)
	})
	return "objects of Istio", below, err
}

// written are the objects of Istio that there are, as "Kind name".
func (s *show) written() (out []string) {
	for _, kind := range []struct{ version, kind string }{{"networking.istio.io/v1", "VirtualService"},
		{"networking.istio.io/v1", "DestinationRule"}, {"security.istio.io/v1", "AuthorizationPolicy"}, {"security.istio.io/v1", "PeerAuthentication"}} {
		all, err := s.cluster.List(kind.version, kind.kind, "")
		if err != nil {
			return []string{err.Error()}
		}
		for _, o := range all {
			out = append(out, fmt.Sprintf("%s %v/%v", kind.kind, cluster.Dig(o, "metadata", "namespace"), cluster.Dig(o, "metadata", "name"))+weights(o))
		}
	}
	return out
}

// weights are those of the routes of a VirtualService.
func weights(o lab.Object) string {
	var out []string
	routes, _ := cluster.Dig(o, "spec", "http").([]any)
	for _, r := range routes {
		to, _ := cluster.Dig(r, "route").([]any)
		for _, d := range to {
			host, _ := cluster.Dig(d, "destination", "host").(string)
			name, _, _ := strings.Cut(host, ".")
			weight := cluster.Dig(d, "weight")
			if weight == nil {
				weight = 100 // a single destination needs none
			}
			out = append(out, fmt.Sprintf("%s %v %%", name, weight))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, ", ")
}

// reports shows what is said of every object, once all of it is in force.
func (s *show) reports() (word string, below []string, err error) {
	err = s.cluster.Eventually("reports on Istio", func() (bool, any) {
		var done bool
		done, below = s.table()
		return done, strings.Join(below, "\n")
	})
	return "as the plan showed", below, err
}

// want is what is to be said of an object on Istio: which has no expressions for
// paths, as the plan showed, and so lets nothing through that needs one.
func want(report lab.Object, condition string) string {
	name, _ := cluster.Dig(report, "metadata", "name").(string)
	if condition != "Accepted" && strings.HasPrefix(name, "httproutegroup.") {
		return "False"
	}
	return "True"
}

func (s *show) table() (done bool, rows []string) {
	all, err := s.cluster.List("meshknot.io/v1alpha1", "TranslationReport", cluster.ShopNamespace)
	if err != nil {
		return false, []string{err.Error()}
	}
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "NAME\tBACKEND\tACCEPTED\tTRANSLATED\tPROGRAMMED\tLOSSFREE")
	done = len(all) > 0
	for _, o := range all {
		backends, _ := cluster.Dig(o, "status", "backends").([]any)
		for _, b := range backends {
			fmt.Fprintf(w, "%v\t%v", cluster.Dig(o, "metadata", "name"), cluster.Dig(b, "backend"))
			conditions, _ := cluster.Dig(b, "conditions").([]any)
			for _, kind := range []string{"Accepted", "Translated", "Programmed", "LossFree"} {
				i := slices.IndexFunc(conditions, func(c any) bool { return cluster.Dig(c, "type") == kind })
				status := any("-")
				if i >= 0 {
					status = cluster.Dig(conditions[i], "status")
				}
				fmt.Fprintf(w, "\t%v", status)
				done = done && cluster.Dig(b, "backend") == "istio" && status == want(o, kind)
			}
			fmt.Fprintln(w)
		}
	}
	if err := w.Flush(); err != nil {
		return false, []string{err.Error()}
	}
	return done, strings.Split(strings.TrimSpace(text.String()), "\n")
}

// pruned waits until the Envoys, which were served until Istio had everything, have
// nothing any more.
func (s *show) pruned() (word string, below []string, err error) {
	err = s.cluster.Eventually("Envoys that have nothing", func() (bool, any) {
		known, err := s.controller.Proxies()
		if err != nil || len(known.Nodes) != 2 || known.Nacks > 0 || lab.Listens(s.shop.Places[cluster.Web]) {
			return false, fmt.Sprint(known, err)
		}
		return !slices.ContainsFunc(known.Nodes, func(n xds.NodeStatus) bool { return !n.InSync }), known
	})
	return "they no longer listen, and refused nothing", nil, err
}

// unbind takes everything back, and ends the controller.
func (s *show) unbind() (word string, below []string, err error) {
	if err := s.cluster.Delete(s.shop.Binding()); err != nil {
		return "", nil, err
	}
	err = s.cluster.Eventually("cluster without objects of Istio", func() (bool, any) {
		left := s.written()
		return len(left) == 0, left
	})
	if err == nil {
		err = s.controller.Terminate(cluster.Within)
	}
	return "no object of Istio is left, and the controller ended as it was asked to", nil, err
}

// bound is what is said of the binding, beside what else was seen.
func (s *show) bound(seen []string) string {
	o, err := s.cluster.Get(s.shop.Binding())
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%v; the binding: %v %v; the split: %v", seen, cluster.Dig(o, "spec"), cluster.Dig(o, "status"), s.cluster.SplitReport())
}

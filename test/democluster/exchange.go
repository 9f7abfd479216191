package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"

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
	below = strings.Split(strings.TrimSpace(string(said)), "\n")
	if !slices.ContainsFunc(below, func(l string) bool { return strings.Contains(l, "VirtualService") }) {
		return "", nil, differs{"a VirtualService that is created", string(said)}
	}
	return "it changes something", below, nil
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
			slices.ContainsFunc(below, func(l string) bool { return strings.HasPrefix(l, "AuthorizationPolicy") }), below
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
	return "all in force", below, err
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
				done = done && cluster.Dig(b, "backend") == "istio" && (kind == "LossFree" || status == "True")
			}
			fmt.Fprintln(w)
		}
	}
	if err := w.Flush(); err != nil {
		return false, []string{err.Error()}
	}
	return done, strings.Split(strings.TrimSpace(text.String()), "\n")
}

// pruned waits until the Envoys have nothing any more.
func (s *show) pruned() (word string, below []string, err error) {
	got, err := s.web.Call(http.MethodGet, "/reviews/1")
	if err != nil || got != cluster.Versions[1] {
		return "", nil, differs{"still " + cluster.Versions[1], fmt.Sprint(got, err)}
	}
	err = s.cluster.Eventually("Envoy that no longer listens", func() (bool, any) {
		return !lab.Listens(s.shop.Places[cluster.Web]), "it listens"
	})
	return "web's proxy no longer listens for reviews", nil, err
}

// unbind takes everything back.
func (s *show) unbind() (word string, below []string, err error) {
	if err := s.cluster.Delete(s.shop.Binding()); err != nil {
		return "", nil, err
	}
	err = s.cluster.Eventually("cluster without objects of Istio", func() (bool, any) {
		left := s.written()
		return len(left) == 0, left
	})
	return "no object of Istio is left", nil, err
}

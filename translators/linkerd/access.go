package linkerd

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// namespace denies what comes to workloads that have no unit of their own. No
// object of Linkerd's can: what its pods do by default is an annotation, which
// the owner of the namespace writes and which counts for pods made after it.
func (m mesh) namespace(n ir.Namespace) report.Report {
	if !n.Enforced || m.denies {
		return nil
	}
	return report.Report{report.New(report.Withheld, report.Ref{Kind: "Namespace", Name: n.Name},
		"what is not granted is denied: "+defaultNote).WithClass(report.Dropped)}
}

// workload makes the Servers of each class of pods, which close their ports, and
// what opens them again for some.
func (m mesh) workload(w ir.Workload) ([]translators.Artifact, report.Report) {
	if !w.Enforced {
		return nil, nil // where Linkerd closes it by itself the table says so
	}
	var out []translators.Artifact
	var found report.Report
	sets := newSets()
	used := map[string]party{}
	for _, port := range portsOf(w) {
		g := granting{mesh: m, workload: w, port: port.number, sets: sets}
		for _, c := range classes(w.Pods) {
			server := m.server(w, c, port)
			g.servers = append(g.servers, nameIn(server))
			out = append(out, server)
		}
		if len(g.servers) == 0 {
			continue
		}
		a, f := g.grants(port)
		out, found = append(out, a...), append(found, f...)
		for _, p := range g.parties {
			used[p.object] = p
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		out = append(out, used[name].authentication(w.Namespace))
	}
	return out, once(found)
}

// once leaves out what has been said of another port already.
func once(r report.Report) report.Report {
	var out report.Report
	for _, f := range r {
		if !slices.ContainsFunc(out, func(o report.Finding) bool { return o.Source == f.Source && o.Message == f.Message }) {
			out = append(out, f)
		}
	}
	return out
}

func nameIn(a translators.Artifact) string {
	_, name, _ := strings.Cut(a.ID.Name, "/")
	return name
}

// class is pods that one selector selects.
type class struct {
	labels map[string]string
	keys   []string
}

// classes lists the selectors that are needed. One that a wider one contains is
// left out: a port of a pod may have one Server only.
func classes(pods []ir.PodClass) []class {
	var out []class
	for i, p := range pods {
		inOther := slices.ContainsFunc(pods, func(o ir.PodClass) bool { return len(o.Labels) < len(p.Labels) && selects(o.Labels, p.Labels) })
		again := slices.ContainsFunc(pods[:i], func(o ir.PodClass) bool { return maps.Equal(o.Labels, p.Labels) })
		if !inOther && !again {
			out = append(out, class{p.Labels, slices.Sorted(maps.Keys(p.Labels))})
		}
	}
	return out
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// serverPort is a port of the pods that is closed.
type serverPort struct {
	number int32
	http   bool
	// protocol is what the proxy expects there.
	protocol string
}

// portsOf lists the ports of the pods that are known: where Services lead to, what
// is granted, what is probed and what the pods say they have. What HTTP is spoken is left to the proxy to see:
// callers in the mesh speak HTTP/2 for whatever their application speaks.
func portsOf(w ir.Workload) []serverPort {
	all := map[int32]serverPort{}
	for _, p := range w.Ports {
		if p.Protocol != ir.UDP {
			all[p.Number] = serverPort{p.Number, p.Protocol.IsHTTP(), spoken(p.Protocol.IsHTTP())}
		}
	}
	add := func(number int32, http bool) {
		if _, ok := all[number]; !ok && number != ir.AnyPort && !slices.ContainsFunc(w.Ports, func(p ir.WorkloadPort) bool { return p.Number == number }) {
			all[number] = serverPort{number, http, spoken(http)}
		}
	}
	for _, g := range w.Grants {
		for _, p := range g.Ports {
			add(p.Number, len(w.Ports) == 0)
		}
	}
	for _, p := range w.Probes {
		add(p.Port, false)
		if one, ok := all[p.Port]; ok && p.Protocol != ir.TCP { // it has to be seen
			one.protocol = spoken(true)
			all[p.Port] = one
		}
	}
	for _, n := range w.OtherPorts {
		add(n, false)
	}
	return slices.SortedFunc(maps.Values(all), func(a, b serverPort) int { return cmp.Compare(a.number, b.number) })
}

func spoken(http bool) string {
	if http {
		return "unknown"
	}
	return "opaque"
}

// server closes a port. Accounts whose pods carry the same labels share it, so it
// is named by those and the port.
func (m mesh) server(w ir.Workload, c class, p serverPort) translators.Artifact {
	labels := object{}
	var key, words []string
	for _, k := range c.keys {
		labels[k] = c.labels[k]
		key = append(key, k, c.labels[k])
		words = append(words, word(c.labels[k]))
	}
	port := strconv.Itoa(int(p.number))
	readable := strings.Join(append(append([]string{"meshknot"}, words...), port), "-")
	selector := object{}
	if len(labels) > 0 {
		selector["matchLabels"] = labels
	}
	spec := object{"podSelector": selector, "port": int64(p.number), "proxyProtocol": p.protocol, "accessPolicy": "deny"}
	a := manifest.New(servers, "Server", w.Namespace, manifest.Name(readable, append(key, port)...), spec, slices.Concat([]report.Ref{w.Ref}, w.Because))
	a.Rank, a.Part = rankServer, w.Account
	return a
}

// unfit is what a label's value may hold and a name may not: an underscore, and a dot
// that does not stand between letters or digits.
var unfit = regexp.MustCompile(`[-_]*\.[-_.]+|[-_]+\.|_`)

// word makes a label's value fit for a name.
func word(value string) string {
	return strings.Trim(unfit.ReplaceAllString(strings.ToLower(value), "-"), "-.")
}

// Assemble joins what accounts with the same labels say of one Server. They differ
// in their sources and, at most, in what is spoken; then the proxy has to see.
func (backend) Assemble(parts []translators.Artifact) (translators.Artifact, report.Report) {
	out := parts[0]
	first := out.Payload.(object)
	metadata, spec := maps.Clone(first["metadata"].(object)), maps.Clone(first["spec"].(object))
	var refs []report.Ref
	for _, p := range parts {
		refs = append(refs, p.Refs...)
		if s := p.Payload.(object)["spec"].(object); s["proxyProtocol"] != spec["proxyProtocol"] {
			spec["proxyProtocol"] = spoken(true)
		}
	}
	if s := manifest.Sources(refs); s != "" {
		metadata["annotations"] = object{manifest.SourceAnnotation: s}
	}
	out.Payload = object{"apiVersion": first["apiVersion"], "kind": first["kind"], "metadata": metadata, "spec": spec}
	return out, nil
}

package kube

import (
	"cmp"
	"maps"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
)

// lowerWorkload says which pods run as an account, on which ports Services lead
// to them, and which probes they answer.
func lowerWorkload(r input.Reader, w *ir.Workload) {
	if strict(r, w.Namespace) {
		w.Enforced, w.NamespaceDenies = true, true
	}
	pods := ofAccount(r, w.Namespace, w.Account)
	id := input.ID{Kind: KindServiceAccount, Namespace: w.Namespace, Name: w.Account}
	if _, ok := r.Get(id); ok {
		w.Ref = id.Ref("")
	} else if len(pods) > 0 {
		w.Ref = pods[0].ref
	}
	w.Pods = classes(r, w, pods)
	w.Ports = ports(r, w.Namespace, pods)
	w.OtherPorts = otherPorts(w.Ports, pods)
	w.Probes = probes(pods)
}

// classes returns the distinct sets of labels.
func classes(r input.Reader, w *ir.Workload, pods []known) []ir.PodClass {
	var out []ir.PodClass
	for _, p := range pods {
		if slices.ContainsFunc(out, func(c ir.PodClass) bool { return maps.Equal(c.Labels, p.Labels) }) {
			continue
		}
		class := ir.PodClass{Labels: p.Labels, Ref: p.ref}
		for _, other := range withLabels(r, w.Namespace, p.Labels) {
			if other.Account != w.Account {
				class.AlsoCatches = append(class.AlsoCatches, other.Account)
			}
		}
		slices.Sort(class.AlsoCatches)
		class.AlsoCatches = slices.Compact(class.AlsoCatches)
		out = append(out, class)
	}
	return out
}

// ports returns the ports on the pods that Services lead to, sorted.
func ports(r input.Reader, namespace string, pods []known) []ir.WorkloadPort {
	byNumber := map[int32]ir.WorkloadPort{}
	for _, p := range pods {
		for _, name := range selecting(r, namespace, p.Labels) {
			s, _ := FindService(r, name)
			for _, sp := range s.Routable() {
				if n, ok := p.target(sp); ok {
					byNumber[n] = lead(byNumber[n], n, ir.ServicePort{Service: name, Port: sp.Number}, sp.Protocol)
				}
			}
		}
	}
	var out []ir.WorkloadPort
	for _, n := range slices.Sorted(maps.Keys(byNumber)) {
		out = append(out, byNumber[n])
	}
	return out
}

// otherPorts returns the ports that pods say they have and no Service leads to.
func otherPorts(led []ir.WorkloadPort, pods []known) []int32 {
	var out []int32
	for _, p := range pods {
		for _, c := range p.Ports {
			if c.Transport == "TCP" && !slices.ContainsFunc(led, func(w ir.WorkloadPort) bool { return w.Number == c.Number }) {
				out = append(out, c.Number)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lead adds a Service port that leads to a port on the pods. A port for UDP
// gives way to one for TCP.
func lead(w ir.WorkloadPort, number int32, p ir.ServicePort, spoken ir.Protocol) ir.WorkloadPort {
	switch {
	case len(w.Services) == 0, w.Protocol == ir.UDP && spoken != ir.UDP:
		return ir.WorkloadPort{Number: number, Protocol: spoken, Services: []ir.ServicePort{p}}
	case spoken == ir.UDP && w.Protocol != ir.UDP:
		return w
	}
	w.Protocol = agree(w.Protocol, spoken)
	if i, ok := slices.BinarySearchFunc(w.Services, p, ir.ServicePort.Compare); !ok {
		w.Services = slices.Insert(w.Services, i, p)
	}
	return w
}

// agree says what is spoken on a port of which two Services say something: TCP
// if either says so, for requests cannot be seen in it, and what both say else.
func agree(a, b ir.Protocol) ir.Protocol {
	switch {
	case a == b, b == "":
		return a
	case a == "":
		return b
	case a == ir.TCP, b == ir.TCP:
		return ir.TCP
	}
	return ir.HTTP
}

func probes(pods []known) []ir.Probe {
	var out []ir.Probe
	for _, p := range pods {
		for _, probe := range p.Probes {
			out = append(out, ir.Probe{Port: probe.Port, Protocol: probe.Protocol, Path: probe.Path, Ref: p.ref.At(probe.Field)})
		}
	}
	same := func(a, b ir.Probe) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Path, b.Path))
	}
	slices.SortStableFunc(out, same)
	return slices.CompactFunc(out, func(a, b ir.Probe) bool { return same(a, b) == 0 })
}

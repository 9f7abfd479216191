package xds

import (
	"cmp"
	"slices"

	"github.com/meshknot/meshknot/translators/ir"
)

// Ports lists the ports of a workload that something can be said of, sorted:
// those that a Service leads to and, where no Service is known to, those that a
// grant names by their number on the pod. What is spoken on the latter nobody
// has said; unknown decides it. UDP is left out: no proxy sees it.
func Ports(w ir.Workload, unknown func(number int32) ir.Protocol) []ir.WorkloadPort {
	out := slices.DeleteFunc(slices.Clone(w.Ports), func(p ir.WorkloadPort) bool { return p.Protocol == ir.UDP })
	for _, g := range w.Grants {
		for _, p := range g.Ports {
			if p.Number != ir.AnyPort && !HasPort(w.Ports, p.Number) && !HasPort(out, p.Number) {
				out = append(out, ir.WorkloadPort{Number: p.Number, Protocol: unknown(p.Number)})
			}
		}
	}
	slices.SortFunc(out, func(a, b ir.WorkloadPort) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// HasPort reports whether a port of a number is among ports.
func HasPort(ports []ir.WorkloadPort, number int32) bool {
	return slices.ContainsFunc(ports, func(p ir.WorkloadPort) bool { return p.Number == number })
}

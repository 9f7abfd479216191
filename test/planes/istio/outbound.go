package istio

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/ir"
)

// calls makes a listener for each port that an account calls, and its clusters.
func (st *stage) calls(r rewriter, one *pod, s planes.Scene) error {
	called := map[ir.ServicePort]bool{}
	for _, q := range s.Requests {
		if q.From != nil && *q.From == one.identity() && q.Service != (ir.Name{}) {
			called[ir.ServicePort{Service: q.Service, Port: q.Port}] = true
		}
	}
	if len(called) == 0 {
		return nil
	}
	if err := st.clusters(r); err != nil {
		return err
	}
	for _, to := range slices.SortedFunc(maps.Keys(called), ir.ServicePort.Compare) {
		if err := st.call(r, outward{one.identity(), to}); err != nil {
			return err
		}
	}
	return nil
}

// clusters makes those that a caller sends to.
func (st *stage) clusters(r rewriter) error {
	for _, name := range slices.Sorted(maps.Keys(r.config.clusters)) {
		c := r.config.clusters[name]
		parts := strings.Split(name, "|")
		known := len(parts) == 4 && parts[0] == "outbound" && st.plays(parts[3])
		if !known && name != "BlackHoleCluster" {
			continue
		}
		http := ""
		if len(parts) == 4 {
			http = st.spoken(parts[1], parts[3])
		}
		c, err := r.cluster(c, r.config.endpoints[name], http)
		if err != nil {
			return err
		}
		if len(parts) == 4 && r.config.clusters[name].GetType() == clusterv3.Cluster_ORIGINAL_DST {
			c.LoadAssignment = own(c.Name, st.behind(parts[1], parts[3])...).LoadAssignment
		}
		st.add(clusterType, c.Name, c)
	}
	return nil
}

// call makes the listener for a port of a Service.
func (st *stage) call(r rewriter, out outward) error {
	sv := st.cast.service(out.to.Service)
	if sv == nil {
		return nil
	}
	i := slices.IndexFunc(sv.ports, func(p ir.Port) bool { return p.Number == out.to.Port })
	if i < 0 || sv.ports[i].Protocol == ir.UDP {
		return nil
	}
	behind := st.cast.behind(sv, sv.ports[i])
	ips := []string{sv.ip}
	if sv.headless { // its name leads to the pods themselves
		ips = nil
		for _, t := range behind {
			ips = append(ips, t.pod.ip)
			st.alone[out] = st.alone[out] || t.pod.identity() == out.from
		}
	}
	l := listenerFor(r.config.listeners, ips, out.to.Port)
	if l == nil {
		return fmt.Errorf("istiod has no listener for %s", out.to)
	}
	at, err := lab.FreePort()
	if err != nil {
		return err
	}
	r.passthrough = r.prefix + "passthrough/" + out.to.String()
	var ports []int32
	for _, t := range behind {
		ports = append(ports, t.pod.listens[t.port])
	}
	st.add(clusterType, r.passthrough, own(r.passthrough, ports...))
	chains := chainsTo(l, ips, uint32(out.to.Port))
	placed, err := r.place(l, r.prefix+"to/"+out.to.String(), at, chains, uint32(out.to.Port))
	if err != nil {
		return err
	}
	st.add(listenerType, placed.Name, placed)
	st.outbound[out] = at
	return nil
}

// listenerFor is the listener that Envoy would give a redirected connection: the
// one for its address, else the one for any, else the one that all connections come to.
func listenerFor(all map[string]*listenerv3.Listener, ips []string, port int32) *listenerv3.Listener {
	for _, ip := range append(slices.Clone(ips), "0.0.0.0") {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			s := all[name].GetAddress().GetSocketAddress()
			if s.GetAddress() == ip && s.GetPortValue() == uint32(port) {
				return proto.Clone(all[name]).(*listenerv3.Listener)
			}
		}
	}
	if l := all["virtualOutbound"]; l != nil {
		return proto.Clone(l).(*listenerv3.Listener)
	}
	return nil
}

// chainsTo are the chains of a listener that are for one of some addresses, or any.
func chainsTo(l *listenerv3.Listener, ips []string, port uint32) []*listenerv3.FilterChain {
	var out []*listenerv3.FilterChain
	for _, chain := range l.GetFilterChains() {
		match := chain.GetFilterChainMatch()
		ranges := match.GetPrefixRanges()
		other := match.GetDestinationPort() != nil && match.GetDestinationPort().GetValue() != port
		ours := len(ranges) == 0 && !other
		for _, one := range ranges {
			ours = ours || !other && slices.Contains(ips, one.GetAddressPrefix())
		}
		if ours {
			if match != nil {
				match.PrefixRanges, match.DestinationPort = nil, nil
			}
			out = append(out, chain)
		}
	}
	return out
}

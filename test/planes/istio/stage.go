package istio

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// stage is one scene, laid out on this machine.
type stage struct {
	cast   *cast
	number int
	// outbound is where a caller's proxy takes calls to a port of a Service.
	outbound map[outward]int32
	// alone are the outward ways that lead a pod to itself, past every proxy.
	alone map[outward]bool
	// routed are the Services that some object routes.
	routed    map[ir.Name]bool
	artifacts []translators.Artifact
}

// outward is a Service port as a caller sees it.
type outward struct {
	from ir.Identity
	to   ir.ServicePort
}

func (st *stage) add(typeURL, name string, m proto.Message) {
	st.artifacts = append(st.artifacts, translators.Artifact{ID: translators.ID{Type: typeURL, Name: name}, Payload: m})
}

// lay asks istiod what it tells each pod's proxy, and makes listeners of it.
func (p *Plane) lay(st *stage, s planes.Scene) error {
	pods := st.cast.pods
	configs := make([]config, len(pods))
	var g errgroup.Group
	g.SetLimit(4)
	for i := range pods {
		g.Go(func() (err error) { configs[i], err = p.fetch(pods[i]); return err })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	places := map[string]int32{}
	for _, one := range pods {
		for port, at := range one.listens {
			places[fmt.Sprintf("%s:%d", one.ip, port)] = at
		}
	}
	for i, one := range pods {
		files, err := p.identity(one.identity().URI("cluster.local"))
		if err != nil {
			return err
		}
		r := rewriter{config: configs[i], places: places, files: files,
			prefix: fmt.Sprintf("%d/%s/%s/", st.number, one.namespace, one.name)}
		if err := p.inbound(st, r, one); err != nil {
			return err
		}
		if st.cast.callers[one.identity()] == one {
			if err := st.calls(r, one, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// inbound makes a listener for each port of a pod.
func (p *Plane) inbound(st *stage, r rewriter, one *pod) error {
	r.server = true
	all := r.config.listeners[inboundListener]
	if all == nil {
		return fmt.Errorf("istiod tells %s/%s of no calls that come in", one.namespace, one.name)
	}
	for _, port := range slices.Sorted(maps.Keys(one.listens)) {
		process, err := p.processes.Port(planes.Process(one.workload(), port), st.cast.protocol(one.workload(), port).IsHTTP())
		if err != nil {
			return err
		}
		r := r
		r.prefix = fmt.Sprintf("%s%d/", r.prefix, port)
		r.passthrough, r.pod, r.at = r.prefix+"process", port, one.listens[port]
		l, err := r.place(all, strings.TrimSuffix(r.prefix, "/"), one.listens[port], chainsFor(all, uint32(port)), uint32(port))
		if err != nil {
			return err
		}
		st.add(listenerType, l.GetName(), l)
		st.add(clusterType, r.passthrough, own(r.passthrough, process))
		name := fmt.Sprintf("inbound|%d||", port)
		if c := r.config.clusters[name]; c != nil {
			if c, err = r.cluster(c, nil, ""); err != nil {
				return err
			}
			c.LoadAssignment = own(c.Name, process).LoadAssignment
			st.add(clusterType, c.Name, c)
		}
	}
	return nil
}

// chainsFor are the chains that Envoy would choose from for calls to a port of the
// pod: those for that port or, only where there is none, those for any.
func chainsFor(l *listenerv3.Listener, port uint32) []*listenerv3.FilterChain {
	var own, any []*listenerv3.FilterChain
	for _, chain := range l.GetFilterChains() {
		chain = proto.Clone(chain).(*listenerv3.FilterChain)
		match := chain.GetFilterChainMatch()
		switch {
		case match.GetDestinationPort() == nil:
			any = append(any, chain)
		case match.GetDestinationPort().GetValue() == port:
			match.DestinationPort = nil
			own = append(own, chain)
		}
	}
	if len(own) > 0 {
		return own
	}
	return any
}

// plays reports whether a host is a Service of the scene.
func (st *stage) plays(host string) bool {
	return slices.ContainsFunc(st.cast.services, func(sv *service) bool { return hostOf(sv.name) == host })
}

// spoken is the kind of HTTP that is spoken on a port of a Service, by the words
// of a cluster's name; empty where it is none.
func (st *stage) spoken(port, host string) string {
	for _, sv := range st.cast.services {
		for _, p := range sv.ports {
			if fmt.Sprint(p.Number) != port || hostOf(sv.name) != host {
				continue
			}
			switch p.Protocol {
			case ir.HTTP:
				return "http"
			case ir.HTTP2, ir.GRPC:
				return "http2"
			}
		}
	}
	return ""
}

// behind are the places of the pods behind a port of a Service.
func (st *stage) behind(port, host string) []int32 {
	var out []int32
	for _, sv := range st.cast.services {
		for _, p := range sv.ports {
			if fmt.Sprint(p.Number) != port || hostOf(sv.name) != host || p.Protocol == ir.UDP {
				continue
			}
			for _, t := range st.cast.behind(sv, p) {
				out = append(out, t.pod.listens[t.port])
			}
		}
	}
	return out
}

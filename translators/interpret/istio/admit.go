package istio

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
)

// peer is a PeerAuthentication.
type peer struct {
	selected
	mode  string
	ports map[int32]string
}

// The modes of mutual TLS.
const (
	unset      = "UNSET"
	disable    = "DISABLE"
	permissive = "PERMISSIVE"
	strict     = "STRICT"
)

func (m *mesh) addPeer(id translators.ID, o object) error {
	var spec wirePeer
	if err := decode(o.Spec, &spec); err != nil {
		return err
	}
	p := &peer{selected: selecting(id, o, spec.Selector), mode: unset, ports: map[int32]string{}}
	if spec.MTLS != nil && spec.MTLS.Mode != "" {
		p.mode = spec.MTLS.Mode
	}
	if len(spec.PortLevelMTLS) > 0 && len(p.labels) == 0 {
		return fmt.Errorf("ports without a selector")
	}
	modes := []string{p.mode}
	for number, one := range spec.PortLevelMTLS {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return fmt.Errorf("port %q", number)
		}
		p.ports[int32(n)] = one.Mode
		modes = append(modes, one.Mode)
	}
	for _, mode := range modes {
		if !slices.Contains([]string{unset, disable, permissive, strict}, mode) {
			return fmt.Errorf("mode %q", mode)
		}
	}
	m.peers.all = append(m.peers.all, p)
	return nil
}

// mode is how a port of a pod takes calls: as its pods' object says or, where that
// says nothing, its namespace's, the whole mesh's, or nobody's: with and without
// mTLS. Of two objects about the same the older counts; which that is nobody
// knows, so it is the one that asks for less.
func (m *mesh) mode(namespace string, pod map[string]string, port int32) (string, translators.ID) {
	own := m.peers.of(namespace, pod)
	for _, level := range []func(*peer) (string, bool){
		func(p *peer) (string, bool) { mode, ok := p.ports[port]; return mode, ok },
		func(p *peer) (string, bool) { return p.mode, len(p.labels) > 0 },
		func(p *peer) (string, bool) { return p.mode, len(p.labels) == 0 },
	} {
		if mode, id := least(own, level); mode != "" {
			return mode, id
		}
	}
	if mode, id := least(m.peers.of(m.rootNamespace, nil), func(p *peer) (string, bool) { return p.mode, len(p.labels) == 0 }); mode != "" {
		return mode, id
	}
	return permissive, translators.ID{}
}

func least(all []*peer, level func(*peer) (string, bool)) (mode string, id translators.ID) {
	order := []string{strict, permissive, disable}
	for _, p := range all {
		said, ok := level(p)
		if ok && said != unset && slices.Index(order, said) > slices.Index(order, mode) {
			mode, id = said, p.id
		}
	}
	return mode, id
}

// Admit implements interpret.Mesh. Probes are answered by Istio's agent on a port
// of its own, so at the port that declares them nothing is special about them.
func (m *mesh) Admit(a interpret.Arrival) interpret.Admission {
	protocol := m.world.Protocol(a.Workload, a.Port)
	if protocol == ir.UDP { // passes no proxy
		return interpret.Admission{Allowed: true}
	}
	mode, by := m.mode(a.Workload.Namespace, a.Pod, a.Port)
	c := &call{asked: &asked{Request: a.Request, joined: m.joined}, port: a.Port, http: !a.Request.Raw && m.speaksHTTP(a, protocol)}
	c.path, c.query = reading.Path(a.Request.Path)
	switch {
	case a.Request.From == nil && mode == strict:
		return interpret.Admission{By: []translators.ID{by}}
	case a.Request.From != nil && mode != disable:
		c.principal = strings.TrimPrefix(a.Request.From.URI(m.trustDomain), "spiffe://")
	}
	return m.authorize(a, c)
}

// speaksHTTP: what is said on a port that no Service leads to is looked at.
func (m *mesh) speaksHTTP(a interpret.Arrival, p ir.Protocol) bool {
	named := slices.ContainsFunc(m.world.Workloads[a.Workload].Ports, func(w ir.WorkloadPort) bool { return w.Number == a.Port })
	return p.IsHTTP() || !named
}

// authorize asks the policies of the pod, its namespace and the root namespace,
// by action: CUSTOM, DENY, ALLOW. Where there is one of the last, one must allow.
func (m *mesh) authorize(a interpret.Arrival, c *call) interpret.Admission {
	all := m.policies.of(a.Workload.Namespace, a.Pod)
	if a.Workload.Namespace != m.rootNamespace {
		all = append(all, m.policies.of(m.rootNamespace, a.Pod)...)
	}
	for _, action := range []string{custom, deny} {
		for _, p := range all {
			if p.action == action && p.covers(c) {
				// The provider of a CUSTOM policy is not there, so it refuses.
				return interpret.Admission{By: []translators.ID{p.id}}
			}
		}
	}
	var closed []translators.ID
	for _, p := range all {
		if p.action != allow {
			continue
		}
		if closed = append(closed, p.id); p.covers(c) {
			return interpret.Admission{Allowed: true, By: []translators.ID{p.id}}
		}
	}
	return interpret.Admission{Allowed: len(closed) == 0, By: closed}
}

// covers reports whether a rule of a policy holds. Where no request is seen, a rule
// to allow that looks at one never holds, and one to deny does not look.
func (p *policy) covers(c *call) bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool { return r.holds(c, p.action == deny || p.action == custom) })
}

func (r rule) holds(c *call, unseen bool) bool {
	if !c.http && !unseen && r.looks {
		return false
	}
	every := func(clauses []clause) bool {
		return !slices.ContainsFunc(clauses, func(one clause) bool { return (c.http || !one.http) && !one.holds(c) })
	}
	return (len(r.from) == 0 || slices.ContainsFunc(r.from, every)) && (len(r.to) == 0 || slices.ContainsFunc(r.to, every)) && every(r.when)
}

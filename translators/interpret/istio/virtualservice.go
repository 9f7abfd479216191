package istio

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret/sidecar"
	"github.com/meshknot/meshknot/translators/ir"
)

// virtualService is the routes of a Service.
type virtualService struct {
	id        translators.ID
	namespace string
	exportTo  []string
	http      []*route
	tcp       []*route
}

// visible: unset means everywhere.
func (v *virtualService) visible(namespace string) bool {
	return len(v.exportTo) == 0 || slices.ContainsFunc(v.exportTo, func(to string) bool {
		return to == "*" || to == namespace || to == "." && namespace == v.namespace
	})
}

// route is what becomes of the requests, or connections, that match.
type route struct {
	name         string
	matches      []*match
	destinations []destination
	headers      edits
	respond      func(*asked, *match) answer // nil: destinations are asked
	rewrite      rewrite
	mirrors      []mirror
	// abort percent of the requests are answered with status.
	abort   float64
	status  int
	timeout ir.Timeout
}

type destination struct {
	target
	weight  int64
	headers edits
}

// target is where requests go. It is a Service unless known is false.
type target struct {
	service ir.Name
	known   bool
	port    int32
	subset  string
}

type mirror struct {
	target
	percent float64
}

// addVirtualService reads the routes for sidecars. Which of two objects for one
// Service counts is up to when they were made, so that is an error.
func (m *mesh) addVirtualService(id translators.ID, o object) error {
	var spec wireService
	if err := decode(o.Spec, &spec); err != nil {
		return err
	}
	v := &virtualService{id: id, namespace: o.Metadata.Namespace, exportTo: spec.ExportTo}
	if len(spec.Hosts) == 0 || len(spec.HTTP)+len(spec.TCP) == 0 {
		return fmt.Errorf("no hosts, or no routes")
	}
	for i, w := range spec.HTTP {
		r, err := m.httpRoute(w, v.namespace)
		if err != nil {
			return fmt.Errorf("http[%d]: %w", i, err)
		}
		v.http = append(v.http, r)
	}
	for i, w := range spec.TCP {
		r, err := m.tcpRoute(w, v.namespace)
		if err != nil {
			return fmt.Errorf("tcp[%d]: %w", i, err)
		}
		v.tcp = append(v.tcp, r)
	}
	if len(spec.Gateways) > 0 && !slices.Contains(spec.Gateways, everySidecar) {
		return nil // it is about gateways alone
	}
	for _, h := range spec.Hosts {
		service, ok := m.service(h, v.namespace)
		switch {
		case strings.Contains(h, "*"):
			return fmt.Errorf("the host %s stands for several", h)
		case !ok: // a name outside the cluster, which nobody here calls
		case m.hosts[service] != nil:
			return fmt.Errorf("%s routes %s too", m.hosts[service].id.Name, h)
		default:
			m.hosts[service] = v
		}
	}
	return nil
}

func (m *mesh) httpRoute(w wireHTTP, namespace string) (*route, error) {
	r := &route{name: w.Name}
	for i, wm := range w.Match {
		one, err := newMatch(wm)
		if err != nil {
			return nil, fmt.Errorf("match[%d]: %w", i, err)
		}
		r.matches = append(r.matches, one)
	}
	if len(w.Match) == 0 {
		r.matches = []*match{everything()}
	}
	var err error
	if r.headers, err = newEdits(w.Headers); err != nil {
		return nil, err
	}
	switch {
	case w.Redirect != nil && w.DirectResponse == nil && len(w.Route) == 0:
		r.respond, err = w.Redirect.compile(w)
	case w.DirectResponse != nil && w.Redirect == nil && len(w.Route) == 0:
		r.respond, err = responding(w.DirectResponse.Status)
	case len(w.Route) > 0 && w.Redirect == nil && w.DirectResponse == nil:
		err = m.forward(r, w, namespace)
	default:
		err = fmt.Errorf("not one of route, redirect and directResponse")
	}
	return r, err
}

// forward reads what is done with requests that are passed on.
func (m *mesh) forward(r *route, w wireHTTP, namespace string) (err error) {
	if r.destinations, err = m.destinations(w.Route, namespace); err != nil {
		return err
	}
	if r.rewrite, err = newRewrite(w.Rewrite); err != nil {
		return err
	}
	if r.timeout, err = timeoutOf(w); err != nil {
		return err
	}
	if f := w.Fault; f != nil && f.Abort != nil {
		if f.Abort.HTTPStatus < 200 || f.Abort.HTTPStatus > 599 {
			return fmt.Errorf("a fault of status %d", f.Abort.HTTPStatus)
		}
		// Without a percentage, none of the requests is aborted.
		if r.status = f.Abort.HTTPStatus; f.Abort.Percentage != nil {
			if r.abort, err = f.Abort.Percentage.steps(); err != nil {
				return err
			}
		}
	}
	return m.copies(r, w, namespace)
}

// copies reads who gets copies: of all requests where no percentage is given.
func (m *mesh) copies(r *route, w wireHTTP, namespace string) (err error) {
	all := w.Mirrors
	if w.Mirror != nil {
		all = append(all, wireMirror{*w.Mirror, w.MirrorPercentage})
	}
	for _, c := range all {
		one := mirror{percent: 100}
		if one.target, err = m.target(c.Destination, namespace); err != nil {
			return err
		}
		if c.Percentage != nil {
			if one.percent, err = c.Percentage.steps(); err != nil {
				return err
			}
		}
		r.mirrors = append(r.mirrors, one)
	}
	return nil
}

// steps cuts a percentage off behind its fourth digit.
func (p wirePercent) steps() (float64, error) {
	if p.Value < 0 || p.Value > 100 {
		return 0, fmt.Errorf("%v percent", p.Value)
	}
	return float64(uint32(p.Value*10_000)) / 10_000, nil
}

func (m *mesh) tcpRoute(w wireTCP, namespace string) (*route, error) {
	r := &route{}
	for _, wm := range w.Match {
		one := everything()
		one.place = place{wm.Port, wm.SourceNamespace, wm.SourceLabels, wm.Gateways}
		r.matches = append(r.matches, one)
	}
	if len(w.Match) == 0 {
		r.matches = []*match{everything()}
	}
	var err error
	r.destinations, err = m.destinations(w.Route, namespace)
	return r, err
}

// destinations reads shares. One alone gets all; of several, those without a
// weight get nothing.
func (m *mesh) destinations(all []wireDestination, namespace string) ([]destination, error) {
	var out []destination
	var total int64
	for i, w := range all {
		d := destination{weight: int64(w.Weight)}
		var err error
		if d.target, err = m.target(w.Destination, namespace); err != nil {
			return nil, fmt.Errorf("route[%d]: %w", i, err)
		}
		if d.headers, err = newEdits(w.Headers); err != nil {
			return nil, fmt.Errorf("route[%d]: %w", i, err)
		}
		if w.Weight < 0 {
			return nil, fmt.Errorf("route[%d]: weight %d", i, w.Weight)
		}
		if len(all) == 1 {
			d.weight = 1
		}
		if total += d.weight; d.weight > 0 {
			out = append(out, d)
		}
	}
	if total == 0 || total > 1<<31-1 {
		return nil, fmt.Errorf("the weights sum up to %d", total)
	}
	return out, nil
}

func (m *mesh) target(w wireTarget, namespace string) (target, error) {
	t := target{subset: w.Subset}
	if w.Host == "" {
		return t, fmt.Errorf("a destination without a host")
	}
	t.service, t.known = m.service(w.Host, namespace)
	if w.Port != nil {
		if t.port = w.Port.Number; t.port < 1 || t.port > 65535 {
			return t, fmt.Errorf("port %d", t.port)
		}
	}
	return t, nil
}

// rewrite changes host and path. A path is replaced as a whole where replace is set.
type rewrite struct {
	host, path string
	replace    func(path string) string
}

func newRewrite(w *wireRewrite) (rewrite, error) {
	if w == nil {
		return rewrite{}, nil
	}
	r := rewrite{host: w.Authority, path: w.URI}
	if w.URI == "" && w.Authority == "" && w.URIRegexRewrite == nil || w.URI != "" && w.URIRegexRewrite != nil {
		return r, fmt.Errorf("a rewrite of nothing, or of a path in two ways")
	}
	var err error
	if w.URIRegexRewrite != nil {
		r.replace, err = sidecar.Substitution(w.URIRegexRewrite.Match, w.URIRegexRewrite.Rewrite)
	}
	return r, err
}

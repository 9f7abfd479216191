package consul

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret/sidecar"
)

// router, splitter and resolver are entries; a chain is what Consul compiles of
// those that the calls to one service meet.
type router struct{ routes []hop }

// hop is a route of a router: a condition and where it leads.
type hop struct {
	*condition
	service, subset   string
	rewrite           string
	timeout           time.Duration // zero: none
	request, response *wireEdits
}

type splitter struct{ splits []split }

type split struct {
	weight            float32
	service, subset   string
	request, response *wireEdits
}

type resolver struct {
	defaultSubset    string
	subsets          map[string]bool
	service, subset  string // of a redirect
	redirect         bool
	requestTimeout   time.Duration
	timeoutIsWritten bool
}

// chain is what becomes of the calls to a service.
type chain struct {
	hops []compiled
	ids  []translators.ID
}

// compiled is a hop with its targets.
type compiled struct {
	hop
	name    string
	targets []target
}

// target is a service that gets a share, and the edits for that share, in the order
// in which they are done.
type target struct {
	service           string
	percent           float64
	request, response []*wireEdits
	// missing says why nobody is there; empty where somebody may be.
	missing string
}

// unset is the time that Envoy gives a request of which nothing is said.
const unset = 15 * time.Second

// timeoutOf reads a time: negative is none, and nothing is Envoy's own.
func timeoutOf(text string) (time.Duration, error) {
	if text == "" {
		return unset, nil
	}
	d, err := time.ParseDuration(text)
	switch {
	case d < 0:
		d = 0
	case d == 0:
		d = unset
	}
	return d, err
}

func (m *mesh) addRouter(e entry) error {
	var w wireRouter
	if err := decode(e.body, &w); err != nil {
		return err
	}
	r := &router{}
	for i, route := range w.Routes {
		h := hop{condition: catchAll(), service: e.name, timeout: unset}
		var err error
		if route.Match != nil {
			h.condition, err = newCondition(route.Match.HTTP)
		}
		if err == nil && route.Destination != nil {
			compares := route.Match != nil && route.Match.HTTP != nil && route.Match.HTTP.PathExact+route.Match.HTTP.PathPrefix != ""
			err = h.lead(route.Destination, compares)
		}
		if err != nil {
			return fmt.Errorf("route %d: %w", i, err)
		}
		r.routes = append(r.routes, h)
	}
	m.entries.routers[e.name] = r
	return nil
}

// lead reads where a hop leads. Compares: it compares with a path or its beginning,
// which alone can be rewritten.
func (h *hop) lead(d *wireDestination, compares bool) (err error) {
	if h.timeout, err = timeoutOf(d.RequestTimeout); err != nil {
		return err
	}
	if _, err = timeoutOf(d.IdleTimeout); err != nil {
		return err
	}
	if d.Service != "" {
		h.service = d.Service
	}
	h.subset, h.rewrite, h.request, h.response = d.ServiceSubset, d.PrefixRewrite, d.RequestHeaders, d.ResponseHeaders
	if h.rewrite != "" && !compares {
		return fmt.Errorf("a prefix is rewritten and none is compared with")
	}
	return edited(d.RequestHeaders, d.ResponseHeaders)
}

// edited refuses what Consul, or its Envoy, refuses: edits of pseudo-headers and of
// the host, and values that hold variables.
func edited(all ...*wireEdits) error {
	for _, w := range all {
		if w == nil {
			continue
		}
		names := slices.Concat(w.Remove, slices.Collect(maps.Keys(w.Set)), slices.Collect(maps.Keys(w.Add)))
		for _, n := range names {
			if n == "" || n[0] == ':' || n == sidecar.Host {
				return fmt.Errorf("the header %q is edited", n)
			}
		}
		for _, v := range slices.Concat(slices.Collect(maps.Values(w.Set)), slices.Collect(maps.Values(w.Add))) {
			if _, err := sidecar.Value(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// hundredths is a share as Consul stores it, which makes 10,000 of all.
func hundredths(weight float32) int { return int(float64(weight*100) + 0.5) }

func (m *mesh) addSplitter(e entry) error {
	var w wireSplitter
	if err := decode(e.body, &w); err != nil {
		return err
	}
	s := &splitter{}
	sum := 0
	seen := map[string]bool{}
	for i, one := range w.Splits {
		service := one.Service
		if service == "" {
			service = e.name
		}
		if seen[service+" "+one.ServiceSubset] || one.Weight < 0 || one.Weight > 100 {
			return fmt.Errorf("split %d: %s occurs twice, or has a weight of %v", i, service, one.Weight)
		}
		if err := edited(one.RequestHeaders, one.ResponseHeaders); err != nil {
			return fmt.Errorf("split %d: %w", i, err)
		}
		seen[service+" "+one.ServiceSubset] = true
		sum += hundredths(one.Weight)
		weight := float32(hundredths(one.Weight)) / 100
		s.splits = append(s.splits, split{weight, service, one.ServiceSubset, one.RequestHeaders, one.ResponseHeaders})
	}
	if sum != 10_000 {
		return fmt.Errorf("the weights sum up to %d hundredths of a percent", sum)
	}
	m.entries.splitters[e.name] = s
	return nil
}

func (m *mesh) addResolver(e entry) error {
	var w wireResolver
	if err := decode(e.body, &w); err != nil {
		return err
	}
	r := &resolver{defaultSubset: w.DefaultSubset, subsets: map[string]bool{}, timeoutIsWritten: w.RequestTimeout != ""}
	for name := range w.Subsets {
		r.subsets[name] = true
	}
	if w.Redirect != nil {
		r.redirect, r.service, r.subset = true, w.Redirect.Service, w.Redirect.ServiceSubset
		if r.service == "" && r.subset == "" || r.service == e.name && r.subset == "" || len(w.Subsets) > 0 || w.DefaultSubset != "" {
			return fmt.Errorf("a redirect to nowhere, to itself, or beside subsets")
		}
		if r.service == "" {
			r.service = e.name
		}
	}
	var err error
	if r.requestTimeout, err = timeoutOf(w.RequestTimeout); err == nil && r.requestTimeout == 0 {
		err = fmt.Errorf("a negative time")
	}
	m.entries.resolvers[e.name] = r
	return err
}

package consul

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/test/lab"
)

// marker is a timeout for connecting that no other show has. Consul compiles
// what it is asked for anew for it, and puts a hash of it into the names of the
// clusters that routes lead to.
func (p *Plane) marker() time.Duration {
	return 5*time.Second + time.Duration(p.shows)*time.Millisecond
}

// settle waits until every sidecar does what the entries and registrations of
// this show say; protocols are what services speak. Listeners are on new ports, so those that are there are new;
// routes are where they name clusters of this show; and clusters, where they
// lead to the instances' new ports.
func (p *Plane) settle(protocols map[string]string) error {
	hashes := map[string]string{}
	for _, i := range p.now.instances {
		for name := range i.slot.upstreams {
			if hashes[name] != "" {
				continue
			}
			var err error
			if hashes[name], err = p.compiled(name); err != nil {
				return err
			}
		}
	}
	all := make(chan error, len(p.now.instances))
	for _, i := range p.now.instances {
		go func() { all <- p.await(i.slot, protocols[i.slot.service], hashes) }()
	}
	var err error
	for range p.now.instances {
		err = cmp.Or(err, <-all)
	}
	return err
}

// await waits until one sidecar does what it is told.
func (p *Plane) await(s *slot, protocol string, hashes map[string]string) error {
	why := ""
	var refused error
	err := p.lab.Eventually("configuration in use", patience, func() bool {
		why, refused = p.unsettled(s, protocol, hashes)
		return why == "" || refused != nil
	})
	if refused != nil {
		return refused
	}
	if err != nil {
		return fmt.Errorf("%s as %s: %s: %w", s.id, s.service, why, err)
	}
	return nil
}

// compiled asks Consul how it leads calls to a service. It returns what stands
// before the names of the clusters of this show.
func (p *Plane) compiled(service string) (string, error) {
	var out struct {
		Chain struct {
			CustomizationHash string
			Targets           map[string]struct{ Service string }
		}
	}
	err := p.agent.Post("/v1/discovery-chain/"+service, object{"OverrideConnectTimeout": p.marker().String()}, &out)
	if err == nil && len(out.Chain.CustomizationHash) < 8 {
		err = fmt.Errorf("the discovery chain of %s has no mark of this show", service)
	}
	if err != nil {
		return "", err
	}
	for _, t := range out.Chain.Targets {
		p.now.reached[service] = p.now.reached[service] || len(p.publics(t.Service)) > 0
	}
	return out.Chain.CustomizationHash[:8] + "~", nil
}

// unsettled says what a sidecar still lacks; refused is what Envoy would not take.
func (p *Plane) unsettled(s *slot, protocol string, hashes map[string]string) (why string, refused error) {
	d, err := read(s.sidecar)
	if err != nil {
		return err.Error(), nil
	}
	public, ok := d.listener(s.public)
	switch {
	case d.refused != "":
		return "", fmt.Errorf("the Envoy of %s refuses a listener: %s", s.service, d.refused)
	case !ok:
		return "no listener for the service", nil
	case !speaks(public, protocol):
		return "the listener does not speak " + protocol, nil
	}
	for name, port := range s.upstreams {
		listener, ok := d.listener(port)
		if !ok {
			return "no listener for calls to " + name, nil
		}
		routes := listener
		if strings.Contains(listener, `"rds"`) {
			if routes, ok = d.routes[name]; !ok {
				return "no routes to " + name, nil
			}
		}
		if !marked(routes, hashes[name]) {
			return "old routes to " + name, nil
		}
	}
	return p.astray(s, hashes), nil
}

var mark = regexp.MustCompile(`"[0-9a-f]{8}~`)

// marked reports whether all clusters that are named bear this show's mark.
func marked(text, hash string) bool {
	found := mark.FindAllString(text, -1)
	return len(found) > 0 && !slices.ContainsFunc(found, func(s string) bool { return s != `"`+hash })
}

// speaks reports whether a listener was made for a protocol.
func speaks(listener, protocol string) bool {
	return strings.Contains(listener, "http_connection_manager") == isHTTP(protocol) &&
		strings.Contains(listener, "grpc_stats") == (protocol == "grpc")
}

// astray says which cluster of this show leads elsewhere than to the instances of its service.
func (p *Plane) astray(s *slot, hashes map[string]string) string {
	var all struct {
		Clusters []struct {
			Name  string `json:"name"`
			Hosts []struct {
				Address struct {
					Socket struct {
						Port int32 `json:"port_value"`
					} `json:"socket_address"`
				} `json:"address"`
				Health struct {
					EDS string `json:"eds_health_status"`
				} `json:"health_status"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	if err := s.sidecar.Admin("clusters?format=json", &all); err != nil {
		return err.Error()
	}
	for _, c := range all.Clusters {
		hash, name, ok := strings.Cut(c.Name, "~")
		if !ok || !slices.ContainsFunc(values(hashes), func(h string) bool { return h == hash+"~" }) {
			continue
		}
		service, _, _ := strings.Cut(name, ".")
		var got []int32
		for _, h := range c.Hosts {
			if h.Health.EDS == "HEALTHY" {
				got = append(got, h.Address.Socket.Port)
			}
		}
		slices.Sort(got)
		if want := p.publics(service); !slices.Equal(got, want) {
			return fmt.Sprintf("%s leads to %v instead of %v", c.Name, got, want)
		}
	}
	return ""
}

func values(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// publics are the ports where a Consul service is called, sorted.
func (p *Plane) publics(service string) []int32 {
	var out []int32
	for _, i := range p.now.instances {
		if i.service == service {
			out = append(out, i.slot.public)
		}
	}
	slices.Sort(out)
	return out
}

// dump is what of an Envoy's configuration tells one show from another, as JSON.
type dump struct {
	// listeners that are active, by name.
	listeners map[string]string
	// routes by the name of the service that they lead to.
	routes  map[string]string
	refused string
}

func (d dump) listener(port int32) (string, bool) {
	for name, text := range d.listeners {
		if strings.HasSuffix(name, fmt.Sprintf("127.0.0.1:%d", port)) {
			return text, true
		}
	}
	return "", false
}

func read(s *lab.Sidecar) (dump, error) {
	var all struct {
		Configs []struct {
			Listeners []struct {
				Name   string `json:"name"`
				Active struct {
					Listener json.RawMessage `json:"listener"`
				} `json:"active_state"`
				Error struct {
					Details string `json:"details"`
				} `json:"error_state"`
			} `json:"dynamic_listeners"`
			Routes []struct {
				Config json.RawMessage `json:"route_config"`
			} `json:"dynamic_route_configs"`
		} `json:"configs"`
	}
	if err := s.Admin("config_dump", &all); err != nil {
		return dump{}, err
	}
	d := dump{listeners: map[string]string{}, routes: map[string]string{}}
	for _, c := range all.Configs {
		for _, l := range c.Listeners {
			if d.refused += l.Error.Details; len(l.Active.Listener) > 0 {
				d.listeners[l.Name] = string(l.Active.Listener)
			}
		}
		for _, r := range c.Routes {
			var named struct {
				Name string `json:"name"`
			}
			if err := json.Unmarshal(r.Config, &named); err != nil {
				return dump{}, err
			}
			d.routes[named.Name] += string(r.Config)
		}
	}
	return d, nil
}

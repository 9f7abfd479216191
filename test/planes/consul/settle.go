package consul

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// settle waits until every sidecar does what the entries and registrations of
// stages say. All entries of a stage are written before any of its sidecars is
// registered, and its services' names are its own: a listener, a route or a cluster
// of such a name is made of them all. Envoy reports a listener when it is in
// service, which is after the clusters, the routes and the certificates that it
// needs; what comes apart from it are the endpoints, whose ports are new.
func settle(stages []*stage) error {
	n := 0
	all := make(chan error)
	for _, s := range stages {
		for _, one := range s.slots {
			n++
			go func() { all <- s.await(one) }()
		}
	}
	var err error
	for range n {
		err = cmp.Or(err, <-all)
	}
	return err
}

// await waits until one sidecar does what it is told.
func (s *stage) await(one *slot) error {
	start, pause, listens, renewed := time.Now(), 10*time.Millisecond, false, false
	for {
		why, err := s.unsettled(one, &listens)
		if err == nil && why == "" {
			return nil
		}
		waited := time.Since(start)
		if err == nil && waited > s.site.dull && !renewed {
			renewed = true
			if err := one.renew(); err != nil {
				return err
			}
		}
		if waited > 2*time.Second {
			if refused := refusal(one); refused != "" {
				return fmt.Errorf("the Envoy of %s refuses a listener: %s", one.id, refused)
			}
			if waited > patience {
				return errors.Join(fmt.Errorf("%s: %s within %s", one.id, cmp.Or(why, "not settled"), patience), err, fmt.Errorf("its Envoy said:\n%s", one.sidecar.Said(20)))
			}
		}
		time.Sleep(pause)
		pause = min(2*pause, 160*time.Millisecond)
	}
}

// unsettled says what a sidecar still lacks.
func (s *stage) unsettled(one *slot, listens *bool) (string, error) {
	if !*listens {
		var all struct {
			Listeners []struct {
				Name string `json:"name"`
			} `json:"listener_statuses"`
		}
		if err := one.sidecar.Admin("listeners?format=json", &all); err != nil {
			return "", err
		}
		there := map[string]bool{}
		for _, l := range all.Listeners {
			there[l.Name] = true
		}
		if !there[fmt.Sprintf("public_listener:127.0.0.1:%d", one.public)] {
			return "no listener for the service", nil
		}
		for name, port := range one.upstreams {
			if !there[fmt.Sprintf("%s%s:127.0.0.1:%d", s.prefix, name, port)] {
				return "no listener for calls to " + name, nil
			}
		}
		*listens = true
	}
	if len(one.upstreams) == 0 {
		return "", nil
	}
	return s.astray(one)
}

// astray says which cluster leads elsewhere than to the instances of its service.
func (s *stage) astray(one *slot) (string, error) {
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
	if err := one.sidecar.Admin("clusters?format=json", &all); err != nil {
		return "", err
	}
	seen := 0
	for _, c := range all.Clusters {
		service, _, _ := strings.Cut(c.Name, ".")
		if !strings.HasPrefix(service, s.prefix) {
			continue
		}
		seen++
		var got []int32
		for _, h := range c.Hosts {
			if h.Health.EDS == "HEALTHY" {
				got = append(got, h.Address.Socket.Port)
			}
		}
		slices.Sort(got)
		if want := s.publics(service); !slices.Equal(got, want) {
			return fmt.Sprintf("%s leads to %v instead of %v", c.Name, got, want), nil
		}
	}
	if seen == 0 {
		return "no cluster of the stage", nil
	}
	return "", nil
}

// refusal is what Envoy says of listeners that it would not take.
func refusal(one *slot) string {
	var all struct {
		Listeners []struct {
			Error struct {
				Details string `json:"details"`
			} `json:"error_state"`
		} `json:"configs"`
	}
	if err := one.sidecar.Admin("config_dump?resource=dynamic_listeners", &all); err != nil {
		return ""
	}
	var out []string
	for _, l := range all.Listeners {
		if l.Error.Details != "" {
			out = append(out, l.Error.Details)
		}
	}
	return strings.Join(out, "; ")
}

// routes are the routes of a sidecar by the name of the service that they lead to,
// as JSON.
func (s *slot) routes() (map[string]string, error) {
	var all struct {
		Configs []struct {
			Routes []struct {
				Config json.RawMessage `json:"route_config"`
			} `json:"dynamic_route_configs"`
		} `json:"configs"`
	}
	if err := s.sidecar.Admin("config_dump", &all); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, c := range all.Configs {
		for _, r := range c.Routes {
			var named struct {
				Name string `json:"name"`
			}
			if err := json.Unmarshal(r.Config, &named); err != nil {
				return nil, err
			}
			out[named.Name] = string(r.Config)
		}
	}
	return out, nil
}

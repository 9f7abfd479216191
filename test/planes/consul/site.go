package consul

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshknot/meshknot/test/lab"
)

// site is an installation of Consul. What holds for all of its mesh is written
// before any sidecar starts, and stays.
type site struct {
	lab   *lab.Lab
	agent *lab.ConsulAgent
	// dull is how long the agent may send a sidecar nothing before it is asked anew.
	dull time.Duration

	mu sync.Mutex
	// idle are the slots that no stage needs, longest first. Each keeps the
	// registration of its last stage until it gets another.
	idle []*slot
	born int
}

// site is the installation where general entries hold. It is started for the first
// scene that needs it.
func (p *Plane) site(general []entry) (*site, error) {
	bodies := make([]object, 0, len(general))
	for _, e := range general {
		bodies = append(bodies, e.body)
	}
	key, err := json.Marshal(bodies)
	if err != nil {
		return nil, err
	}
	if s, ok := p.sites[string(key)]; ok {
		return s, nil
	}
	agent, err := p.lab.StartConsul(p.policy)
	if err != nil {
		return nil, err
	}
	s := &site{lab: p.lab, agent: agent, dull: p.dull}
	for _, e := range general {
		if err := s.put(e); err != nil {
			return nil, err
		}
	}
	p.sites[string(key)] = s
	return s, nil
}

// starting is what an agent that has just started says of intentions for a moment.
const starting = "read only while being upgraded"

func (s *site) put(e entry) error {
	err := s.agent.Put("/v1/config", e.body)
	for end := time.Now().Add(30 * time.Second); err != nil && strings.Contains(err.Error(), starting) && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		err = s.agent.Put("/v1/config", e.body)
	}
	if err != nil {
		return fmt.Errorf("%s %s is refused: %w\n%v", e.kind, e.name, err, e.body)
	}
	return nil
}

// take gives a slot to a stage: the one that was idle longest, or a new one. It is
// registered anew by the stage; the last of those that a stage has left takes the
// stage's entries along.
func (s *site) take(by *stage) (*slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == 0 {
		s.born++
		process, err := newPod(s.lab)
		return &slot{id: fmt.Sprintf("meshknot-%d", s.born), stage: by, pod: process}, err
	}
	one := s.idle[0]
	s.idle = s.idle[1:]
	one.before, one.stage = one.stage, by
	return one, nil
}

// left notes that a slot is not registered for its last stage any more.
func (s *site) left(one *slot) error {
	before := one.before
	if one.before = nil; before == nil {
		return nil
	}
	if before.standing--; before.standing > 0 {
		return nil
	}
	return before.forget()
}

// free gives the slots of stages back.
func (s *site) free(stages []*stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range stages {
		s.idle = append(s.idle, st.slots...)
		st.slots = nil
	}
	s.idle = slices.Clip(s.idle)
}

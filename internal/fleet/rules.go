package fleet

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshknot/meshknot/internal/rules"
	"github.com/meshknot/meshknot/policies"
)

// rules checks the ConfigMaps that hold rules: whether they compile, beside the rules
// that are shipped and beside each other, and if not, what is in force instead.
func (c *Cluster) rules(ctx context.Context, namespace string) Section {
	s := Section{Name: "rules"}
	const name = "rules in ConfigMaps are in order"
	var maps corev1.ConfigMapList
	if err := c.client.List(ctx, &maps, client.InNamespace(namespace), client.MatchingLabels{rules.Label: "true"}); err != nil {
		s.unknown(name, err)
		return s
	}
	if len(maps.Items) == 0 {
		s.ok(name, "there are none in namespace "+namespace)
		return s
	}
	states, err := compiled(ctx, maps.Items)
	if err != nil {
		s.unknown(name, err)
		return s
	}
	said := c.announced(ctx, namespace)
	for i := range maps.Items {
		m := &maps.Items[i]
		name, state := "the rules of ConfigMap "+namespace+"/"+m.Name+" compile", states[rules.SourceOf(m).Name]
		if len(state.Problems) == 0 {
			s.ok(name, fmt.Sprintf("%d rules", state.Rules))
			continue
		}
		instead := "none of its rules is known to be in force"
		for _, note := range said[m.UID] {
			if rest, ok := strings.CutPrefix(note, rules.Note(state)); ok && rest != "" {
				instead = strings.Trim(rest, " ()")
			}
		}
		s.add(name, Failed, rules.Note(state)+": "+instead, "correct the rule: a replica that starts has none of that ConfigMap; meshknot policy test tries it without a cluster")
	}
	return s
}

// compiled compiles rules as a controller does, and says what becomes of each source.
func compiled(ctx context.Context, all []corev1.ConfigMap) (map[string]policies.SourceState, error) {
	live, err := policies.NewLive(policies.NewInventory(), policies.Shipped(), nil)
	if err != nil {
		return nil, err
	}
	for i := range all {
		live.Set(rules.SourceOf(&all[i]))
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- live.Run(running) }()
	select {
	case <-live.Changed():
	case <-ctx.Done():
		err = ctx.Err()
	}
	stop()
	out := map[string]policies.SourceState{}
	for _, state := range live.States() {
		out[state.Name] = state
	}
	return out, cmp.Or(<-ended, err)
}

// announced returns what replicas said of ConfigMaps. Without Events less can be told.
func (c *Cluster) announced(ctx context.Context, namespace string) map[types.UID][]string {
	out := map[types.UID][]string{}
	var list eventsv1.EventList
	_ = each(ctx, c.client, &list, func() {
		for _, e := range list.Items {
			if e.ReportingController == rules.Reporter {
				out[e.Regarding.UID] = append(out[e.Regarding.UID], e.Note)
			}
		}
	}, client.InNamespace(namespace))
	return out
}

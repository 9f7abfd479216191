package rules

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshknot/meshknot/policies"
)

// Reporter is whom an Event on a ConfigMap with rules is of.
const Reporter = "meshknot.io/rules"

// maxNote is how many bytes an Event may say.
const maxNote = 1024

// Announce writes an Event on each ConfigMap whose rules are not in order, until ctx
// ends. One replica of several runs it.
func (r *Rules) Announce(ctx context.Context) {
	for {
		for _, s := range r.live.States() {
			if len(s.Problems) == 0 {
				continue
			}
			if err := r.announce(ctx, s); err != nil && ctx.Err() == nil {
				r.o.Log.Warn("an event could not be written", "source", s.Name, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-r.news:
		}
	}
}

// Note is what an Event says of a source that is not in order.
func Note(s policies.SourceState) string {
	note := strings.Join(problems(s.Problems), "; ")
	if s.Rules > 0 {
		note += fmt.Sprintf(" (the last good ones stay in force: %d)", s.Rules)
	}
	return strings.ToValidUTF8(note[:min(len(note), maxNote)], "")
}

// announce writes the Event of a source, which is named by what it says, so that it
// is there once.
func (r *Rules) announce(ctx context.Context, s policies.SourceState) error {
	r.mu.Lock()
	m, ok := r.maps[s.Name]
	r.mu.Unlock()
	if !ok {
		return nil // a file
	}
	note := Note(s)
	sum := sha256.Sum256([]byte(string(m.uid) + note))
	host, _ := os.Hostname() // which names the instance
	e := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.o.Namespace, Name: fmt.Sprintf("%s.%s", m.name[:min(len(m.name), 200)], hex.EncodeToString(sum[:8]))},
		EventTime:  metav1.NowMicro(), ReportingController: Reporter, ReportingInstance: "meshknot-" + host[:min(len(host), 100)],
		Action: "Compile", Reason: string(s.Problems[0].Code), Type: corev1.EventTypeWarning, Note: note,
		Regarding: corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: r.o.Namespace, Name: m.name, UID: m.uid},
	}
	_, err := r.client.EventsV1().Events(r.o.Namespace).Create(ctx, e, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

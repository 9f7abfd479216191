package sink

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/meshknot/meshknot/translators"
)

// place is where an object is, in whichever version it is written.
type place struct {
	kind schema.GroupKind
	name string
}

// known is what is known of an object of ours.
type known struct {
	uid, revision string
	// part is the ApplySet that it is a member of.
	part string
	// artifact is what was written, where live is nil, and the object says it.
	artifact translators.Artifact
	digest   string
	// made is the fingerprint of what the server made of it, where that says
	// something else, whatever is written.
	made string
	// live is the object, where it is yet to be compared; listed is its text until
	// then, of which there can be many.
	live   *unstructured.Unstructured
	listed []byte
}

// vouched reports whether the object is known to say its artifact.
func (k known) vouched() bool { return k.uid != "" && k.live == nil && k.listed == nil }

// listed compares an object with what is known of it.
func (c *Cluster) listed(owner Owner, at place, artifact string, live *unstructured.Unstructured) (Stored, error) {
	s := Stored{ID: translators.ID{Type: artifact, Name: at.name}, Digest: live.GetAnnotations()[DigestAnnotation]}
	k, ok := c.recall(at)
	now := known{uid: string(live.GetUID()), revision: live.GetResourceVersion(), part: partOf(live), digest: k.digest, made: k.made}
	if ok && k.vouched() {
		w, err := want(owner, k.artifact)
		if err == nil && (w.in(live) || k.made != "" && k.made == fingerprint(live)) {
			now.artifact = k.artifact
			c.remember(at, now)
			return s, nil
		}
	}
	var err error
	if now.listed, err = stripped(live).MarshalJSON(); err != nil {
		return s, fmt.Errorf("%s: %w", named(s.ID), err)
	}
	c.remember(at, now)
	s.Drifted = true
	return s, nil
}

// sweep forgets what is gone, and that the parent is known.
func (c *Cluster) sweep(part string, owner Owner, seen map[place]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, k := range c.known {
		if k.part == part && !seen[at] {
			delete(c.known, at)
		}
	}
	delete(c.parents, owner.UID)
}

// look returns what is known of an object, which is asked for where nothing is.
func (c *Cluster) look(ctx context.Context, client dynamic.ResourceInterface, at place) (known, error) {
	k, ok := c.recall(at)
	switch {
	case ok && k.listed != nil:
		k.live = &unstructured.Unstructured{}
		return k, k.live.UnmarshalJSON(k.listed)
	case ok:
		return k, nil
	}
	_, name := cutLast(at.name)
	live, err := client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && !noPath(err) {
		return known{}, nil
	}
	if apierrors.IsForbidden(err) { // to read it, which says nothing against the object: its kind is not kept
		return known{}, fmt.Errorf("%s may not be read: %s", at.name, err.Error())
	}
	if err != nil {
		return known{}, err
	}
	return known{uid: string(live.GetUID()), revision: live.GetResourceVersion(), part: partOf(live), live: live}, nil
}

func (c *Cluster) recall(at place) (known, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.known[at]
	return k, ok
}

func (c *Cluster) remember(at place, k known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[at] = k
}

func (c *Cluster) forget(at place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, at)
}

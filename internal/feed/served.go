package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	inCatalogue = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
	inMetadata  = "application/json;g=meta.k8s.io;v=v1;as=PartialObjectMetadata"
	definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	// hesitant is how long a definition that is not served yet keeps a feed from being
	// called synced: a server that has just started serves nothing of it.
	hesitant = 30 * time.Second
)

// catalogue is what a server says it serves, versions in the order of preference.
type catalogue struct {
	Kind  string
	Items []struct {
		Metadata struct{ Name string }
		Versions []struct {
			Version   string
			Resources []struct {
				Resource     string
				ResponseKind struct{ Kind string }
				Verbs        []string
			}
		}
	}
}

// offer is a version in which a kind is served. ending: nothing can be created.
type offer struct {
	version string
	ending  bool
}

// survey looks up what is served, again and again, and soon after a definition
// changed: the server itself takes a moment to notice.
func (f *Feed) survey(ctx context.Context) {
	var b backoff
	first := time.Now()
	poked := []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second}
	soon := poked[len(poked):]
	for {
		if err := f.look(ctx, time.Since(first) < hesitant); err != nil {
			f.unsurveyed(err)
			b.wait(ctx, nil)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		b = backoff{}
		next := f.o.Survey
		if len(soon) > 0 {
			next, soon = soon[0], soon[1:]
		} else if f.watching.Load() {
			next *= 6
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-f.poked:
			soon = poked
		case <-t.C:
		}
		t.Stop()
	}
}

// unsurveyed notes that what is served could not be looked up. Nothing follows of
// it, except that kinds that were not found served so far cannot be read.
func (f *Feed) unsurveyed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.kinds {
		if k.served == "" && !k.Idle {
			k.trouble(reach, inWords(err))
		}
	}
	f.tell(f.kinds...)
}

// look looks up what is served. While it hesitates, a kind that is defined and not
// served keeps it from being called surveyed.
func (f *Feed) look(ctx context.Context, hesitate bool) error {
	text, err := f.get(ctx, "/apis", inCatalogue)
	if err != nil {
		return err
	}
	var c catalogue
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("reading what is served: %w", err)
	}
	if c.Kind != "APIGroupDiscoveryList" {
		return fmt.Errorf("the API server does not tell what it serves in one answer: Kubernetes 1.30 or newer is needed")
	}
	var absent []*kind
	f.mu.Lock()
	surveyed := f.surveyed
	for _, k := range f.kinds {
		if k.Idle {
			continue
		}
		f.serve(k, c.offers(k.Kind))
		if k.served == "" && !k.builtIn() && k.troubles[definition].text == "" {
			absent = append(absent, k)
		}
	}
	f.mu.Unlock()
	if !surveyed && hesitate {
		for _, k := range absent {
			if d, err := f.defined(ctx, k); err == nil && !d.ending {
				return fmt.Errorf("%s is defined and not served yet", k.Kind.definition())
			} else if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
				return err
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.surveyed = true
	f.complete()
	return nil
}

// offers lists the versions in which a kind is served.
func (c catalogue) offers(k Kind) []offer {
	if k.Group == "" {
		return []offer{{version: coreV1}} // which is not in this catalogue, and always served
	}
	var out []offer
	for _, group := range c.Items {
		if group.Metadata.Name != k.Group {
			continue
		}
		for _, v := range group.Versions {
			for _, r := range v.Resources {
				if r.Resource == k.Resource && r.ResponseKind.Kind == k.Kind {
					out = append(out, offer{v.Version, !slices.Contains(r.Verbs, "create")})
				}
			}
		}
	}
	return out
}

// serve takes over in which versions a kind is served. f.mu is held.
func (f *Feed) serve(k *kind, offers []offer) {
	i := slices.IndexFunc(offers, func(o offer) bool { return slices.Contains(k.versions, o.version) })
	if i < 0 {
		f.unserved(k, offers)
		return
	}
	o := offers[i]
	if k.served == "" {
		k.clear(reach)
	}
	wasEnding := k.ending
	if k.ending = o.ending; o.ending {
		k.returned = true
		k.trouble(definition, "the definition is being removed; what was read of it is kept")
	}
	if k.served != o.version || wasEnding && !o.ending {
		if k.served = o.version; !o.ending {
			k.clear(definition)
		}
		k.relist()
	}
}

// unserved takes over that a kind is served in no version that is known. f.mu is held.
func (f *Feed) unserved(k *kind, offers []offer) {
	var others []string
	for _, o := range offers {
		others = append(others, o.version)
	}
	k.clear(reach)
	switch {
	case len(others) > 0:
		k.trouble(definition, fmt.Sprintf("served in %s only; known are %s", strings.Join(others, ", "), strings.Join(k.versions, ", ")))
	case len(k.entries) > 0:
		k.trouble(definition, "the kind is not served any more; what was read of it is kept")
	default:
		k.clear(definition)
	}
	if k.served != "" {
		k.served = ""
		k.returned = k.returned || len(k.entries) > 0
		k.relist()
	}
}

// defining is what is known of a definition.
type defining struct {
	uid    string
	ending bool
}

// defined asks for the definition of a kind.
func (f *Feed) defined(ctx context.Context, k *kind) (defining, error) {
	text, err := f.get(ctx, definitions+"/"+k.Kind.definition(), inMetadata)
	if err != nil {
		return defining{}, err
	}
	d, _, err := definingOf(text)
	return d, err
}

func definingOf(text []byte) (defining, string, error) {
	var o struct {
		Metadata struct {
			Name, UID         string
			DeletionTimestamp *time.Time
		}
	}
	err := json.Unmarshal(text, &o)
	return defining{o.Metadata.UID, o.Metadata.DeletionTimestamp != nil}, o.Metadata.Name, err
}

// definitions watches the definitions of kinds, for what is served to be looked
// up at once when one changes. Where that is not allowed, it is looked up anyway
// from time to time.
func (f *Feed) definitions(ctx context.Context) {
	var b backoff
	for ctx.Err() == nil {
		p, lasts := f.lasting(params{})
		begun := time.Now()
		err := f.watch(ctx, definitions, inMetadata, p, func(e event) (time.Duration, error) {
			f.watching.Store(true)
			if e.Type != "" && e.Type != bookmark {
				f.redefined(e)
			}
			return lasts, nil
		})
		f.watching.Store(false)
		if time.Since(begun) > lastWait {
			b = backoff{}
		}
		if apierrors.IsForbidden(err) && !sleep(ctx, f.o.Survey*6) {
			return
		}
		b.wait(ctx, nil)
	}
}

// redefined takes over that a definition changed.
func (f *Feed) redefined(e event) {
	d, name, err := definingOf(e.Object)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.kinds {
		if k.builtIn() || k.Kind.definition() != name {
			continue
		}
		if len(k.entries) > 0 && (e.Type == deleted || d.ending) {
			k.returned = true
			k.trouble(definition, "the definition is being removed; what was read of it is kept")
			f.tell(k)
		}
		signal(f.poked)
	}
}

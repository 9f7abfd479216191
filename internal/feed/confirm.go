package feed

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/meshknot/meshknot/translators/input"
)

const (
	// together is how many objects are asked for before the definition is asked for
	// that makes their absence mean something.
	together = 20
	// later is when what could not be told is asked again.
	later = 5 * time.Second
	// settled is how long a server that does not show definitions is given to notice
	// that one is being removed.
	settled = 500 * time.Millisecond
)

// confirm finds out of objects in doubt whether they are gone.
func (f *Feed) confirm(ctx context.Context) {
	for ctx.Err() == nil {
		next := later
		for _, k := range f.kinds {
			next = min(next, f.resolve(ctx, k))
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-f.doubted:
		case <-t.C:
		}
		t.Stop()
	}
}

// suspect is an object in doubt and the version in which it is asked for.
type suspect struct {
	id input.ID
	doubt
}

// resolve asks for objects of a kind that are in doubt, a few at a time. It returns
// when there is something to do again.
func (f *Feed) resolve(ctx context.Context, k *kind) time.Duration {
	told, missing, api, next := f.due(k)
	if len(told) > 0 {
		lasting, err := f.lasts(ctx, k)
		f.settleTold(k, told, lasting, err)
		if err != nil {
			return time.Second
		}
	}
	if len(missing) == 0 {
		return next
	}
	var gone []suspect
	for _, s := range missing {
		if f.rate.Wait(ctx) != nil {
			return later
		}
		if f.absent(ctx, k, api, s) {
			gone = append(gone, s)
		}
	}
	if len(gone) > 0 {
		lasting, err := f.lasts(ctx, k)
		f.settleMissing(k, gone, lasting, err)
	}
	return 0
}

// due returns what is to be looked at now, and when something is next.
func (f *Feed) due(k *kind) (told, missing []suspect, api string, next time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next = later
	if k.served == "" || k.again || k.ending {
		return nil, nil, "", next // a list will tell first
	}
	now := time.Now()
	for id, d := range k.doubts {
		switch wait := d.from.Sub(now); {
		case d.held:
		case d.told:
			told = append(told, suspect{id, d})
		case wait > 0:
			next = min(next, wait)
		case len(missing) < together:
			missing = append(missing, suspect{id, d})
		}
	}
	return told, missing, k.served, next
}

// lasts reports whether the definition of a kind is the one that was listed, and
// there to stay: then an object that is gone was deleted.
func (f *Feed) lasts(ctx context.Context, k *kind) (bool, error) {
	if k.builtIn() {
		return true, nil
	}
	d, err := f.defined(ctx, k)
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case apierrors.IsForbidden(err): // then what is served has to do
		if !sleep(ctx, settled) {
			return false, ctx.Err()
		}
		if err := f.look(ctx, false); err != nil {
			return false, err
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		return k.served != "" && !k.ending && !k.returned, nil
	case err != nil:
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return !d.ending && !k.returned && (k.definition == "" || k.definition == d.uid), nil
}

// settleTold takes out objects that the server called gone, or keeps those that
// went with their definition.
func (f *Feed) settleTold(k *kind, told []suspect, lasting bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.tell(k)
	if err != nil {
		k.trouble(doubtful, "deletions wait until the definition can be asked for: "+inWords(err))
		return
	}
	for _, s := range told {
		d, ok := k.doubts[s.id]
		switch {
		case !ok || d != s.doubt:
		case lasting:
			f.drop(k, s.id)
		default:
			d.held = true
			k.doubts[s.id] = d
		}
	}
	if !lasting {
		k.returned = true
		k.trouble(doubtful, "objects went with their definition; they are kept")
		signal(f.poked)
		k.relist()
	}
}

// settleMissing takes out objects that are not there, if their definition is.
func (f *Feed) settleMissing(k *kind, gone []suspect, lasting bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.tell(k)
	if err == nil && !lasting {
		k.returned = true
		signal(f.poked)
		k.relist()
	}
	for _, s := range gone {
		d, ok := k.doubts[s.id]
		switch {
		case !ok || d != s.doubt:
		case err == nil && lasting:
			f.drop(k, s.id)
		default:
			d.from = time.Now().Add(later)
			k.doubts[s.id] = d
		}
	}
}

// absent asks for an object that a list lacks and reports whether the server says
// that it does not exist. One that is there is taken over.
func (f *Feed) absent(ctx context.Context, k *kind, api string, s suspect) bool {
	text, err := f.get(ctx, k.object(api, s.id), inJSON)
	var h head
	if err == nil {
		h, err = k.headOf(text)
	}
	if absence(err, s.id.Name) {
		return true
	}
	var c Change
	if err == nil {
		c = f.change(k.Kind, api, h, text)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.tell(k)
	d, ok := k.doubts[s.id]
	switch {
	case !ok || d != s.doubt:
	case err != nil:
		k.trouble(doubtful, "objects that are not listed are kept, for it cannot be told whether they are gone: "+inWords(err))
		d.from = time.Now().Add(later)
		k.doubts[s.id] = d
	default:
		delete(k.doubts, s.id)
		f.take(k, api, h, c)
	}
	return false
}

// absence reports whether an error says that an object does not exist, and not
// that its kind does not.
func absence(err error, name string) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details != nil && details.Name == name
}

package feed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// backoff waits longer each time, up to a few seconds, and never twice the same.
type backoff struct{ next time.Duration }

const firstWait, lastWait = 100 * time.Millisecond, 5 * time.Second

// wait ends early when the context does, or when one of several channels is closed.
func (b *backoff) wait(ctx context.Context, early <-chan struct{}) {
	b.next = min(max(2*b.next, firstWait), lastWait)
	t := time.NewTimer(b.next/2 + rand.N(b.next/2))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-early:
	case <-t.C:
	}
}

// follow reads a kind for as long as the context lasts. It is the only one that
// lists or watches the kind.
func (f *Feed) follow(ctx context.Context, k *kind) {
	var b backoff
	for ctx.Err() == nil {
		run, end := context.WithCancel(ctx)
		f.mu.Lock()
		k.restart = end
		api, back := k.served, f.back
		f.mu.Unlock()
		if api == "" {
			<-run.Done() // something is served, or all is over
			end()
			continue
		}
		begun := time.Now()
		err := f.read(run, k, api)
		if time.Since(begun) > lastWait {
			b = backoff{}
		}
		if run.Err() == nil && f.failed(k, err, time.Since(begun)) {
			b.wait(run, back)
		}
		end()
	}
}

// failed notes why reading a kind ended, and reports whether to wait before it
// goes on.
func (f *Feed) failed(k *kind, err error, lasted time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.tell(k)
	switch {
	case err == nil:
		return lasted < time.Second
	case expired(err): // usual after a time away
		k.again = true
		return lasted < time.Second
	case apierrors.IsNotFound(err):
		signal(f.poked)
	}
	k.trouble(reach, inWords(err))
	return true
}

// inWords says what is wrong in words that are the same as long as it is.
func inWords(err error) string {
	var status apierrors.APIStatus
	var operation *net.OpError
	var request *url.Error
	switch {
	case errors.As(err, &status):
		return "the API server refuses: " + status.Status().Message
	case errors.As(err, &operation):
		err = operation.Err
	case errors.As(err, &request):
		err = request.Err
	}
	return "the API server cannot be read: " + err.Error()
}

// read lists a kind if that is needed, and watches it. It returns without an error
// when the server has ended the watch.
func (f *Feed) read(ctx context.Context, k *kind, api string) error {
	f.mu.Lock()
	again := k.again
	f.mu.Unlock()
	if again {
		if err := f.listable(ctx, k); err != nil {
			return err
		}
		if !f.paged.Load() {
			err := f.stream(ctx, k, api)
			if !cannotStream(err) {
				return err
			}
			f.paged.Store(true)
		}
		if err := f.pages(ctx, k, api); err != nil {
			return err
		}
	}
	f.mu.Lock()
	resume := k.resume
	f.mu.Unlock()
	p, lasts := f.lasting(f.chosen(params{"resourceVersion": resume}))
	return f.watch(ctx, k.path(api), inJSON, p, func(e event) (time.Duration, error) {
		return lasts, f.seen(k, api, e)
	})
}

// seen takes over an event of a watch that goes on from a list.
func (f *Feed) seen(k *kind, api string, e event) error {
	if e.Type != "" {
		return f.event(k, api, e)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reached(k)
	f.tell(k)
	return nil
}

// stream lists a kind and watches it, in one request.
func (f *Feed) stream(ctx context.Context, k *kind, api string) error {
	l := newList(k, api)
	p, lasts := f.lasting(f.chosen(params{"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}))
	return f.watch(ctx, k.path(api), inJSON, p, func(e event) (time.Duration, error) {
		if l == nil {
			return lasts, f.event(k, api, e)
		}
		switch e.Type {
		case added, modified:
			return stalled, f.add(l, e.Object)
		case deleted, bookmark:
			h, err := k.headOf(e.Object)
			if err != nil {
				return 0, err
			}
			if e.Type == deleted { // since the list was begun
				delete(l.seen, h.id)
				delete(l.news, h.id)
			}
			if !h.ends {
				return stalled, nil
			}
			err = f.commit(l, h.version)
			l = nil
			return lasts, err
		}
		return stalled, nil
	})
}

// chosen adds to the parameters of a request by which labels objects are chosen.
func (f *Feed) chosen(p params) params {
	if f.o.Selector != "" {
		p["labelSelector"] = f.o.Selector
	}
	return p
}

// lasting adds to the parameters of a watch how long it lasts, and returns how
// long to wait for an event of it.
func (f *Feed) lasting(p params) (params, time.Duration) {
	renew := f.o.Renew
	if renew == 0 {
		renew = 5*time.Minute + rand.N(5*time.Minute)
	}
	p["watch"], p["allowWatchBookmarks"] = "true", "true"
	p["timeoutSeconds"] = strconv.Itoa(max(1, int(renew/time.Second)))
	return p, renew + stalled/2
}

// listable looks whether the definition of a kind is there to stay: while it is
// being removed, a list tells nothing.
func (f *Feed) listable(ctx context.Context, k *kind) error {
	if k.builtIn() {
		return nil
	}
	d, err := f.defined(ctx, k)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case apierrors.IsForbidden(err) && !k.ending:
		return nil // what is served is all that is to be known
	case apierrors.IsForbidden(err), err == nil && d.ending:
		k.returned = true
		k.trouble(definition, "the definition is being removed; what was read of it is kept")
		f.tell(k)
		return errors.New("the definition is being removed")
	case err != nil:
		return fmt.Errorf("asking for the definition: %w", err)
	}
	k.returned = k.returned || k.definition != "" && k.definition != d.uid
	k.definition = d.uid
	return nil
}

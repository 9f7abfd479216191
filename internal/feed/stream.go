package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	added    = "ADDED"
	modified = "MODIFIED"
	deleted  = "DELETED"
	bookmark = "BOOKMARK"
	failed   = "ERROR"
)

// event is one of a watch.
type event struct {
	Type   string
	Object json.RawMessage
}

// eventBytes bounds what one event may hold: etcd keeps objects of 1.5 MiB, and
// other storage hardly more than ten times that.
const eventBytes = 16 << 20

// stalled is how long a server may say nothing while it owes an answer.
const stalled = time.Minute

// params are the parameters of a request.
type params map[string]string

// open makes a request and returns what is answered, to be closed.
func (f *Feed) open(ctx context.Context, path, accept string, p params) (io.ReadCloser, error) {
	r := f.client.Get().AbsPath(path).MaxRetries(0).SetHeader("Accept", accept)
	for k, v := range p {
		r = r.Param(k, v)
	}
	return r.Stream(ctx)
}

// get reads one answer as a whole, soon.
func (f *Feed) get(ctx context.Context, path, accept string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, stalled/2)
	defer cancel()
	body, err := f.open(ctx, path, accept, nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, 4*eventBytes))
	return text, err
}

// watch hands each event of a watch to a function, until the server ends it or
// the function fails. The function says how long the next event may take, and is
// asked first with an event of no type when the watch has begun.
func (f *Feed) watch(ctx context.Context, path, accept string, p params, take func(event) (time.Duration, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slow := time.AfterFunc(stalled, func() { cancel(errStalled) })
	defer slow.Stop()
	body, err := f.open(ctx, path, accept, p)
	if err != nil {
		return because(ctx, err)
	}
	defer body.Close()
	patience, err := take(event{})
	if err != nil {
		return err
	}
	slow.Reset(patience)
	bounded := &io.LimitedReader{R: body, N: eventBytes}
	for d := json.NewDecoder(bounded); ; {
		var e event
		err := d.Decode(&e)
		switch {
		case bounded.N <= 0:
			return fmt.Errorf("an event has more than %d bytes", eventBytes)
		case errors.Is(err, io.EOF) && ctx.Err() == nil:
			return nil
		case err != nil:
			return because(ctx, err)
		}
		bounded.N = eventBytes
		if e.Type == failed {
			return statusOf(e.Object)
		}
		patience, err := take(e)
		if err != nil {
			return err
		}
		slow.Reset(patience)
	}
}

var errStalled = errors.New("the API server says nothing more")

// because names the reason for which a request was given up, where there is one.
func because(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}

// statusOf makes an error of what a watch says.
func statusOf(raw []byte) error {
	var s v1.Status
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("reading an error of a watch: %w", err)
	}
	return &apierrors.StatusError{ErrStatus: s}
}

// page hands each item of a page to a function, one at a time. It returns the
// list's resource version, and where the next page goes on.
func (f *Feed) page(ctx context.Context, path string, p params, take func([]byte) error) (v1.ListMeta, error) {
	ctx, cancel := context.WithTimeout(ctx, stalled)
	defer cancel()
	var meta v1.ListMeta
	body, err := f.open(ctx, path, inJSON, p)
	if err != nil {
		return meta, err
	}
	defer body.Close()
	d := json.NewDecoder(body)
	if _, err := d.Token(); err != nil {
		return meta, err
	}
	for d.More() {
		key, err := d.Token()
		switch {
		case err != nil:
		case key == "metadata":
			err = d.Decode(&meta)
		case key == "items":
			err = items(d, take)
		default:
			var skipped json.RawMessage
			err = d.Decode(&skipped)
		}
		if err != nil {
			return meta, err
		}
	}
	_, err = d.Token()
	return meta, err
}

// items hands out the elements of a list of JSON, which may be null.
func items(d *json.Decoder, take func([]byte) error) error {
	if t, err := d.Token(); err != nil || t == nil {
		return err
	}
	for d.More() {
		var item json.RawMessage
		if err := d.Decode(&item); err != nil {
			return err
		}
		if err := take(item); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

const (
	inJSON = "application/json"
	// pageSize is how many objects are asked for at a time.
	pageSize = 500
)

// pages lists a kind page by page. A list that took too long to be read to its
// end is read once more as a whole.
func (f *Feed) pages(ctx context.Context, k *kind, api string) error {
	size := pageSize
	for {
		l, p := newList(k, api), f.chosen(params{})
		err := f.eachPage(ctx, l, p, size)
		if !expired(err) || size == 0 {
			return err
		}
		size = 0
	}
}

func (f *Feed) eachPage(ctx context.Context, l *list, p params, size int) error {
	if size > 0 {
		p["limit"] = strconv.Itoa(size)
	}
	for {
		meta, err := f.page(ctx, l.k.path(l.api), p, func(raw []byte) error { return f.add(l, raw) })
		if err != nil {
			return err
		}
		if meta.Continue == "" {
			return f.commit(l, meta.ResourceVersion)
		}
		p["continue"] = meta.Continue
	}
}

// expired reports whether an error says that a resource version is too old.
func expired(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}

// cannotStream reports whether an error says that lists are not streamed.
func cannotStream(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && (status.Status().Code == http.StatusUnprocessableEntity || status.Status().Code == http.StatusBadRequest)
}

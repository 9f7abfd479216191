package webhook

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// places bound what is done at a time and what waits for it.
type places struct {
	taken   chan struct{}
	waiting atomic.Int64
	most    int64 // that wait
	work    chan func()
}

func newPlaces(concurrent, waiting int) *places {
	return &places{taken: make(chan struct{}, concurrent), most: int64(waiting), work: make(chan func())}
}

// take takes a place, after those who came before. It fails at once where too many
// wait already, and with the end of ctx.
func (p *places) take(ctx context.Context) error {
	select {
	case p.taken <- struct{}{}:
		return nil
	default:
	}
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > p.most {
		return trouble{http.StatusTooManyRequests, fmt.Sprintf("too many requests at a time: %d are judged and %d wait", cap(p.taken), p.most)}
	}
	select {
	case p.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return failed("too many requests at a time: %v", ctx.Err())
	}
}

// idle is how long a worker waits for more work.
const idle = 100 * time.Millisecond

// do has a worker call f, one that waits for work if there is one: judging goes deep,
// and a stack that has grown once need not grow for every request.
func (p *places) do(f func()) {
	select {
	case p.work <- f:
	default:
		go p.worker(f)
	}
}

func (p *places) worker(f func()) {
	more := time.NewTimer(idle)
	defer more.Stop()
	for {
		f()
		more.Reset(idle)
		select {
		case f = <-p.work:
		case <-more.C:
			return
		}
	}
}

// bounded calls f in a place. When ctx ends first, or f panics, that is the error; f
// may then still be running, and holds its place until it ends.
func bounded[T any](ctx context.Context, p *places, f func(context.Context) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	var none T
	if err := p.take(ctx); err != nil {
		return none, err
	}
	done := make(chan outcome, 1)
	p.do(func() {
		defer func() { <-p.taken }()
		defer func() {
			if r := recover(); r != nil {
				done <- outcome{err: failed("a defect of meshknot's: %v", r)}
			}
		}()
		value, err := f(ctx)
		done <- outcome{value, err}
	})
	select {
	case out := <-done:
		return out.value, out.err
	case <-ctx.Done():
		return none, failed("no verdict in time: %v", ctx.Err())
	}
}

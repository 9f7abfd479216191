package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// fence is a lock that knows until when it is held for sure. An elector alone does
// not: one whose process was paused goes on to lead for as long as it would try to
// renew its lease, though another one has it, and gives up what is that one's.
type fence struct {
	resourcelock.Interface
	// renew is for how long it is held from when the last renewal was begun.
	renew time.Duration

	mu     sync.Mutex
	holder string    // as far as is known
	until  time.Time // zero: it is not held
	lapsed func()    // is called when it is not any more
	timer  *time.Timer
}

// Get implements resourcelock.Interface.
func (f *fence) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	r, raw, err := f.Interface.Get(ctx)
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.holder = r.HolderIdentity; f.holder != f.Identity() {
			f.lapse()
		}
	}
	return r, raw, err
}

// Create implements resourcelock.Interface.
func (f *fence) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	begun := time.Now()
	err := f.Interface.Create(ctx, r)
	f.wrote(r, begun, err)
	return err
}

// Update implements resourcelock.Interface. It gives up nothing that is another's.
func (f *fence) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	f.mu.Lock()
	holder := f.holder
	f.mu.Unlock()
	if r.HolderIdentity == "" && holder != f.Identity() {
		return fmt.Errorf("%s is held by %q", f.Describe(), holder)
	}
	begun := time.Now()
	err := f.Interface.Update(ctx, r)
	f.wrote(r, begun, err)
	return err
}

func (f *fence) wrote(r resourcelock.LeaderElectionRecord, begun time.Time, err error) {
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.holder = r.HolderIdentity; f.holder != f.Identity() {
		f.lapse()
		return
	}
	f.until = begun.Add(f.renew)
}

// holds reports whether the lock is held, by both clocks: one of them may stand still
// while the machine does.
func (f *fence) holds() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.left() > 0
}

// left is how long it is held without being renewed. f.mu is held.
func (f *fence) left() time.Duration {
	if f.until.IsZero() {
		return 0
	}
	now := time.Now()
	return min(f.until.Sub(now), f.until.Round(0).Sub(now.Round(0)))
}

// lapse ends the tenure. f.mu is held.
func (f *fence) lapse() {
	f.until = time.Time{}
	if f.lapsed != nil {
		f.lapsed()
	}
}

// tenure returns a context that ends when the lock is not held for sure any more, and
// which says so even before anybody had the time to notice.
func (f *fence) tenure(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancel(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lapsed = end
	f.timer = time.AfterFunc(max(f.left(), 0), f.look)
	return tenure{ctx, f.holds, end}, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.timer.Stop()
		f.lapsed = nil
		end()
	}
}

// look ends the tenure when it is time.
func (f *fence) look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if left := f.left(); left > 0 {
		f.timer.Reset(left)
		return
	}
	f.lapse()
}

// tenure is the time in which a replica may write.
type tenure struct {
	context.Context
	holds func() bool
	end   context.CancelFunc
}

// Err implements context.Context: whoever asks before each write writes nothing after.
func (t tenure) Err() error {
	if err := t.Context.Err(); err != nil {
		return err
	}
	if !t.holds() {
		t.end()
	}
	return t.Context.Err()
}

package controller

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Election is how replicas agree on who writes: by a lease. Zero times mean the
// defaults. Who led writes nothing after Renew, even if it was paused meanwhile, and
// who comes next waits for Lease, so clocks may run apart in speed by the difference.
// Beside that, every write is conditional on what it was made of.
type Election struct {
	// Namespace and Name of the lease ("meshknot-controller").
	Namespace, Name string
	// Identity of this replica.
	Identity string
	// Lease is how long a leader is waited for (15 s), Renew how long one goes on that
	// cannot renew its lease (10 s), Retry how often it is tried (2 s).
	Lease, Renew, Retry time.Duration
}

// run leads whenever this replica may, until ctx ends: to lose the lead, or the API
// server, is no reason to end. lead is called with a context that ends with the
// lead, and never twice at a time.
func (e *Election) run(ctx context.Context, cfg *rest.Config, log *slog.Logger, lead func(context.Context)) error {
	if e == nil {
		lead(ctx)
		return nil
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	var one sync.Mutex
	alone := func(leading context.Context) {
		one.Lock()
		defer one.Unlock()
		if leading.Err() == nil {
			lead(leading)
		}
	}
	for ctx.Err() == nil {
		if err := e.once(ctx, client.CoordinationV1(), log, alone); err != nil {
			return err
		}
		one.Lock()   // until what this replica did as a leader is over
		one.Unlock() //nolint:staticcheck // it is only waited for
	}
	return nil
}

// once leads once, or waits for it until ctx ends. The lease is given back when
// nothing is written any more.
func (e *Election) once(ctx context.Context, client coordination.LeasesGetter, log *slog.Logger, lead func(context.Context)) error {
	electing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var mu sync.Mutex
	leads := false
	lock := &fence{renew: cmp.Or(e.Renew, 10*time.Second), Interface: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: e.Namespace, Name: cmp.Or(e.Name, "meshknot-controller")},
		Client:     client,
		LockConfig: resourcelock.ResourceLockConfig{Identity: e.Identity},
	}}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:          lock,
		LeaseDuration: cmp.Or(e.Lease, 15*time.Second), RenewDeadline: lock.renew, RetryPeriod: cmp.Or(e.Retry, 2*time.Second),
		ReleaseOnCancel: true, Name: "meshknot-controller",
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) {
				mu.Lock()
				leads = true
				mu.Unlock()
				leading, end := lock.tenure(leading)
				defer end()
				defer context.AfterFunc(ctx, end)()
				lead(leading)
				stop() // or the lease is renewed for nobody
			},
			OnStoppedLeading: func() {},
			OnNewLeader:      func(who string) { log.Info("a replica leads", "replica", who) },
		},
	})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !leads {
			stop()
		}
	})()
	elector.Run(electing)
	return nil
}

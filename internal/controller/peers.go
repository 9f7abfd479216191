package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/meshknot/meshknot/internal/xds"
)

// peers lets replicas know what the proxies of all of them say, for one of them writes
// and a proxy is connected to any. Each has a Lease of its own beside that of the leader,
// with an account of its proxies; who does not renew it is believed no longer.
type peers struct {
	client    kubernetes.Interface
	namespace string
	identity  string
	log       *slog.Logger
	// heard is called when others say something else.
	heard func()
	pace  peerPace

	mu     sync.Mutex
	own    account
	news   chan struct{}
	others map[string]voice // by the names of their Leases
	synced bool             // all others were heard once
	// beats are the times that this replica said that it is there and heard itself, and so
	// would have heard the others; due: it is to hear itself.
	beats int
	due   bool
}

// peerPace says how often a replica speaks: when there is something new, and when not;
// when again where it could not; and after how many beats of this replica another one is
// believed no longer, and is gone. While the API server is away there are no beats.
type peerPace struct {
	soonest, latest, again time.Duration
	believed, gone         int
}

var usualPeerPace = peerPace{soonest: 500 * time.Millisecond, latest: 10 * time.Second, again: 2 * time.Second, believed: 3, gone: 6}

// voice is what another replica said last, and at which beat.
type voice struct {
	account
	// mute: it says something, and it is not understood.
	mute    bool
	renewed string
	beat    int
	uid     types.UID
	version string
}

// proxiesKey is the label by which a replica finds the Leases of the others, and the
// annotation in which they say how their proxies are.
const (
	proxiesKey = "meshknot.io/proxies"
	told       = "told"
)

// ProxiesSelector selects the Leases by which replicas tell each other how their
// proxies are, one of each replica.
const ProxiesSelector = proxiesKey + "=" + told

func newPeers(cfg *rest.Config, e *Election, log *slog.Logger, heard func()) (*peers, error) {
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &peers{client: client, namespace: e.Namespace, identity: e.Identity, log: log, heard: heard, pace: usualPeerPace,
		news: make(chan struct{}, 1), others: map[string]voice{}}, nil
}

// name is that of the Lease of a replica.
func (p *peers) name() string {
	sum := sha256.Sum256([]byte(p.identity))
	return "meshknot-proxies-" + hex.EncodeToString(sum[:8])
}

// tell has the others told how the proxies of this replica are.
func (p *peers) tell(s xds.Status) {
	now := accountOf(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now.same(p.own) {
		p.own = now
		signal(p.news)
	}
}

// accounts are those of the others that are believed, in the order of their names; false
// while it is not known who there is, or what one of them says.
func (p *peers) accounts() (out []account, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known = p.synced
	for _, name := range slices.Sorted(maps.Keys(p.others)) {
		if n := p.others[name]; p.beats-n.beat < p.pace.believed {
			out = append(out, n.account)
			known = known && !n.mute
		}
	}
	return out, known
}

// run speaks and listens until ctx ends. Then what this replica said is taken back.
func (p *peers) run(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(p.client, 0, informers.WithNamespace(p.namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = ProxiesSelector }))
	listening := factory.Coordination().V1().Leases().Informer()
	heard, err := listening.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: p.hear, UpdateFunc: func(_, now any) { p.hear(now) }, DeleteFunc: p.miss,
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	var g errgroup.Group
	g.Go(func() error { p.speak(ctx); return nil })
	if cache.WaitForCacheSync(ctx.Done(), heard.HasSynced) {
		p.mu.Lock()
		p.synced = true
		p.mu.Unlock()
		p.heard()
	}
	return g.Wait()
}

// speak renews the Lease of this replica. What can happen: there is something new to
// say, or it could not be said; it is time to say that this replica is there; the end.
func (p *peers) speak(ctx context.Context) {
	leases := p.client.CoordinationV1().Leases(p.namespace)
	beat := time.NewTicker(p.pace.latest)
	defer beat.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			p.silence(leases)
			return
		case <-p.news:
		case <-beat.C:
			p.mu.Lock()
			p.due = true
			p.mu.Unlock()
			p.bury(ctx, leases)
		}
		rest, err := p.pace.soonest, p.write(ctx, leases)
		if err != nil && ctx.Err() == nil {
			if !failing {
				p.log.Warn("the other replicas are not told of the proxies of this one", "error", err)
			}
			rest = p.pace.again
			signal(p.news)
		}
		failing = err != nil
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
	}
}

// write writes the account of this replica into its Lease.
func (p *peers) write(ctx context.Context, leases coordination.LeaseInterface) error {
	p.mu.Lock()
	own := p.own
	p.mu.Unlock()
	said, err := own.packed()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.pace.latest)
	defer cancel()
	now, seconds := metav1.NowMicro(), int32(p.pace.latest.Seconds())*int32(p.pace.believed)
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: p.name(), Namespace: p.namespace, Labels: map[string]string{proxiesKey: told}, Annotations: map[string]string{proxiesKey: said}},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &p.identity, RenewTime: &now, LeaseDurationSeconds: &seconds},
	}
	switch there, err := leases.Get(ctx, p.name(), metav1.GetOptions{}); {
	case apierrors.IsNotFound(err):
		_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
		return err
	case err != nil:
		return err
	default:
		lease.ResourceVersion = there.ResourceVersion
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
		return err
	}
}

// silence takes back what was said.
func (p *peers) silence(leases coordination.LeaseInterface) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := leases.Delete(ctx, p.name(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		p.log.Debug("the Lease of this replica stays", "error", err) // nobody believes it for long
	}
}

// bury deletes the Leases of replicas that are gone for good, unless they have spoken
// since, and has it looked anew whether others are believed.
func (p *peers) bury(ctx context.Context, leases coordination.LeaseInterface) {
	gone := map[string]metav1.DeleteOptions{}
	p.mu.Lock()
	for name, n := range p.others {
		if p.beats-n.beat >= p.pace.gone {
			gone[name] = metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &n.uid, ResourceVersion: &n.version}}
		}
	}
	some := len(p.others) > 0
	p.mu.Unlock()
	for name, as := range gone {
		if err := leases.Delete(ctx, name, as); err != nil && !apierrors.IsNotFound(err) {
			p.log.Debug("the Lease of a replica that is gone stays", "lease", name, "error", err)
		}
	}
	if some {
		p.heard()
	}
}

// hear takes down what another replica says, and that this one is heard.
func (p *peers) hear(o any) {
	lease, ok := o.(*coordinationv1.Lease)
	if !ok {
		return
	}
	if lease.Name == p.name() {
		p.mu.Lock()
		if p.due {
			p.due = false
			p.beats++
		}
		p.mu.Unlock()
		return
	}
	said, err := unpacked(lease.Annotations[proxiesKey])
	if err != nil {
		p.log.Warn("a replica is not understood", "lease", lease.Name, "error", err)
	}
	p.mu.Lock()
	was, known := p.others[lease.Name]
	now := voice{said, err != nil, fmt.Sprint(lease.Spec.RenewTime), p.beats, lease.UID, lease.ResourceVersion}
	if known && was.renewed == now.renewed {
		now.beat = was.beat // it is only listed anew
	}
	p.others[lease.Name] = now
	p.mu.Unlock()
	if !known || was.mute != now.mute || !was.same(said) {
		p.heard()
	}
}

// miss forgets another replica. Who took this one for gone is told otherwise.
func (p *peers) miss(o any) {
	if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = last.Obj
	}
	lease, ok := o.(*coordinationv1.Lease)
	switch {
	case !ok:
	case lease.Name == p.name():
		signal(p.news)
	default:
		p.mu.Lock()
		delete(p.others, lease.Name)
		p.mu.Unlock()
		p.heard()
	}
}

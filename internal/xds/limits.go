package xds

import (
	"time"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// nameCost is what a name costs beside its letters while somebody is interested.
const nameCost = 160

func exceeded(format string, args ...any) error {
	return status.Errorf(codes.ResourceExhausted, format, args...)
}

// checkNode refuses a node that is too large.
func (o *Options) checkNode(node *corev3.Node) error {
	if n := proto.Size(node); n > o.MaxNode {
		return exceeded("the node takes %d bytes, at most %d are read", n, o.MaxNode)
	}
	return nil
}

// checkName refuses a name that is too long or no text.
func (o *Options) checkName(name []byte) error {
	if len(name) > o.MaxNameLength {
		return exceeded("a name takes %d bytes, at most %d are read", len(name), o.MaxNameLength)
	}
	if !utf8.Valid(name) {
		return status.Error(codes.InvalidArgument, "a name is not UTF-8")
	}
	return nil
}

// bucket lets a stream make so many requests a second, and after a rest some more.
type bucket struct {
	rate, tokens float64
	last         time.Time
}

// burst is how many seconds' worth of requests may come at once.
const burst = 10

func newBucket(rate int, now time.Time) *bucket {
	return &bucket{rate: float64(rate), tokens: float64(rate) * burst, last: now}
}

func (b *bucket) take(now time.Time) error {
	b.tokens = min(b.tokens+now.Sub(b.last).Seconds()*b.rate, b.rate*burst)
	b.last = now
	if b.tokens < 1 {
		return exceeded("more than %.0f requests a second", b.rate)
	}
	b.tokens--
	return nil
}

// checkSubscribed refuses a stream that is interested in too much, or too much that
// there is not. Names become known and unknown, so what they cost is counted again
// before.
func (c *schedule) checkSubscribed(sub *subscription) error {
	if len(sub.ids) > c.options.MaxNames {
		return exceeded("%d names of %s are subscribed, at most %d may be", len(sub.ids), sub.kind.url(), c.options.MaxNames)
	}
	if sub.unknown <= c.options.MaxUnknown {
		return nil
	}
	shelf := &c.store.kinds[sub.kind]
	sub.unknown = 0
	count := func(id uint32) {
		if !shelf.known(id) {
			sub.unknown += nameCost + len(shelf.entries[id].name)
		}
	}
	for _, id := range sub.ids {
		count(id)
	}
	for id := range sub.pending {
		count(id)
	}
	if sub.unknown > c.options.MaxUnknown {
		return exceeded("the names of %s that are not known take %d bytes, at most %d are kept", sub.kind.url(), sub.unknown, c.options.MaxUnknown)
	}
	return nil
}

package xds

import (
	"cmp"
	"time"

	"github.com/meshknot/meshknot/translators/ir"
)

// Options are the settings of a Server. Zero fields mean the defaults, which are
// in parentheses. A client that exceeds a limit loses its stream, with the status
// RESOURCE_EXHAUSTED that says which.
type Options struct {
	// TrustDomain of the proxies' SPIFFE identities ("cluster.local").
	TrustDomain string
	// TLS, when set, is how the proxies and the server prove who they are.
	TLS *TLSFiles
	// Insecure allows plaintext beyond loopback, where anybody may claim to be
	// anyone.
	Insecure bool
	// Debug serves gRPC reflection and channelz too.
	Debug bool
	// Units, when set, are shown at /debug/units instead of those of the last
	// Update. It is called without locks held.
	Units func() []ir.Unit

	// MaxStreams bounds the streams of one connection (100), MaxTotalStreams those
	// of all together (20,000).
	MaxStreams      uint32
	MaxTotalStreams int
	// MaxMessage bounds the bytes of a message received (4 MiB), MaxNode those of
	// the node in it (512 KiB).
	MaxMessage, MaxNode int
	// MaxNames bounds the names in a message, and those that a stream subscribes of
	// a type (100,000), MaxNameLength the bytes of each (1,024). MaxUnknown bounds
	// the bytes that names which nobody has may cost in a stream and type (256 KiB).
	MaxNames, MaxNameLength, MaxUnknown int
	// RequestRate is how many requests a second a stream may make (2,000); at once
	// it may make ten times as many.
	RequestRate int

	// ChunkBytes is what a delta response may hold (2 MiB), unless a single
	// resource is larger.
	ChunkBytes int
	// Trailing is how long changes wait at most for those before them to be sent
	// (100 ms). The first change does not wait.
	Trailing time.Duration
	// Patience is how long a type waits for the answer to those that come before
	// it, and for a proxy to ask for the endpoints of a cluster (2 seconds).
	// RemovalPatience is how long removals wait for everything else (15 seconds).
	Patience, RemovalPatience time.Duration
	// SendTimeout is how long a client may read nothing while there is something to
	// send (30 seconds). Then its stream ends.
	SendTimeout time.Duration
	// MaxAge of a connection (30 minutes): a proxy proves anew who it is, and
	// the load spreads over servers. AgeGrace is how long its streams may go on
	// after that (10 seconds).
	MaxAge, AgeGrace time.Duration
	// Grace is how long Serve waits for streams when it stops (5 seconds).
	Grace time.Duration
}

func (o Options) withDefaults() Options {
	o.TrustDomain = cmp.Or(o.TrustDomain, "cluster.local")
	o.MaxStreams = cmp.Or(o.MaxStreams, 100)
	o.MaxTotalStreams = cmp.Or(o.MaxTotalStreams, 20_000)
	o.MaxMessage = cmp.Or(o.MaxMessage, 4<<20)
	o.MaxNode = cmp.Or(o.MaxNode, 512<<10)
	o.MaxNames = cmp.Or(o.MaxNames, 100_000)
	o.MaxNameLength = cmp.Or(o.MaxNameLength, 1024)
	o.MaxUnknown = cmp.Or(o.MaxUnknown, 256<<10)
	o.RequestRate = cmp.Or(o.RequestRate, 2000)
	o.ChunkBytes = cmp.Or(o.ChunkBytes, 2<<20)
	o.Trailing = cmp.Or(o.Trailing, 100*time.Millisecond)
	o.Patience = cmp.Or(o.Patience, 2*time.Second)
	o.RemovalPatience = cmp.Or(o.RemovalPatience, 15*time.Second)
	o.SendTimeout = cmp.Or(o.SendTimeout, 30*time.Second)
	o.MaxAge = cmp.Or(o.MaxAge, 30*time.Minute)
	o.AgeGrace = cmp.Or(o.AgeGrace, 10*time.Second)
	o.Grace = cmp.Or(o.Grace, 5*time.Second)
	return o
}

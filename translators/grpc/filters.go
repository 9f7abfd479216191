package grpc

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
)

// complete adds to an entry the one thing that clients do on the way: to end
// calls after a time. The shorter of two times counts, for an attempt that a
// server has seen is the only one.
func complete(r ir.Route, entry *routev3.Route) []*routev3.Route {
	if t := r.Timeout; t != nil && !r.Answers() && t.Request+t.Backend > 0 {
		d := t.Request + t.Backend
		if t.Request > 0 && t.Backend > 0 {
			d = min(t.Request, t.Backend)
		}
		entry.GetRoute().MaxStreamDuration = &routev3.RouteAction_MaxStreamDuration{MaxStreamDuration: durationpb.New(d)}
	}
	for _, h := range entry.GetMatch().GetHeaders() {
		xds.WithoutPresence(h)
	}
	return []*routev3.Route{entry}
}

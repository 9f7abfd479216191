// Package gatewayapi is the front end for Gateway API: routes that are attached
// to Services, whose callers in the mesh they hold for, and routes that are
// attached to Gateways and ListenerSets, for callers from outside.
//
// What an API server would refuse is an error of the input and rejects the
// object. What it would store, but cannot hold, is kept with a reason: a broken
// reference or an unknown filter makes requests fail, never go elsewhere.
package gatewayapi

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Frontend returns the front end for Gateway API.
func Frontend() translators.Frontend { return frontend{} }

type frontend struct{}

// Name implements translators.Frontend.
func (frontend) Name() string { return "gateway-api" }

// Schemas implements translators.Frontend.
func (frontend) Schemas() []input.Schema { return Schemas() }

// Keys implements translators.Frontend.
func (frontend) Keys(o input.Object, r input.Reader) []ir.Key {
	return append(serviceKeys(o), gatewayKeys(o, r)...)
}

// Lower implements translators.Frontend.
func (frontend) Lower(r input.Reader, u *ir.Unit) report.Report {
	switch {
	case u.Service != nil:
		return lowerService(r, u.Service)
	case u.Workload != nil:
		lowerWorkload(r, u.Workload)
	case u.Gateway != nil:
		return lowerGateway(r, u.Gateway)
	case u.VirtualHost != nil:
		return lowerVirtualHost(r, u.VirtualHost)
	case u.Route != nil:
		return lowerRoute(r, u.Route)
	}
	return nil
}

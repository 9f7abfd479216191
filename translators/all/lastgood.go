package all

import (
	"github.com/meshknot/meshknot/translators/gatewayapi"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/smi"
)

// LastGood is what is used of an object that is rejected now and was good last time,
// while a cluster is followed. Objects of SMI are smi.LastGood's. Of Gateway API a
// Gateway, its listeners and routes stay the last good, for none of them says who may
// call; a ReferenceGrant that is rejected permits nothing. All else is what it is now.
func LastGood(last, now input.Object) input.Object {
	switch now.Kind {
	case gatewayapi.KindGateway, gatewayapi.KindListenerSet, gatewayapi.KindHTTPRoute, gatewayapi.KindGRPCRoute, gatewayapi.KindTCPRoute,
		gatewayapi.KindTLSRoute:
		if now.Group == gatewayapi.Group && now.Rejected && !last.Rejected && last.ID == now.ID && last.Value != nil {
			return last
		}
	}
	return smi.LastGood(last, now)
}

package envoy

import (
	"fmt"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// options are the target's own: where proxies listen in a mesh that redirects
// nothing.
type options map[string]string

// listen returns where an account's calls to a port of a Service are caught, and
// whether the options say so.
func (o options) listen(service ir.Name, port int32, caller ir.Identity) (string, bool) {
	if len(o) == 0 {
		return "", false
	}
	value, ok := o[fmt.Sprintf("listen.%s:%d", service, port)]
	if !ok {
		if value, ok = o["listen."+service.String()]; !ok {
			return "", false
		}
	}
	everybody := ""
	for _, one := range strings.Split(value, ",") {
		account, address, own := strings.Cut(one, "=")
		switch {
		case !own:
			everybody = one
		case account == caller.Namespace+"/"+caller.Account:
			return address, true
		}
	}
	return everybody, everybody != ""
}

// inbound returns where calls to a port of a workload arrive, and where its
// process listens.
func (o options) inbound(w ir.Name, port int32) (at, process string, ok bool) {
	value, ok := o[fmt.Sprintf("inbound.%s:%d", w, port)]
	at, process, _ = strings.Cut(value, ",")
	return at, process, ok
}

// places reports whether places to listen are given in a direction.
func (o options) places(direction string) bool {
	for key := range o {
		if strings.HasPrefix(key, direction) {
			return true
		}
	}
	return false
}

// gateway returns where calls to a port of a Gateway arrive.
func (o options) gateway(g ir.Name, port int32) string {
	if at := o[fmt.Sprintf("gateway.%s:%d", g, port)]; at != "" {
		return at
	}
	return fmt.Sprintf("0.0.0.0:%d", port)
}

// local reports whether an address is a proxy's own: every or its loopback
// address, or one that an option gives it.
func (o options) local(address string) bool {
	host, _, _ := strings.Cut(address, ":")
	if host == "0.0.0.0" || strings.HasPrefix(host, "127.") {
		return true
	}
	for _, value := range o {
		if strings.Contains(value, address) {
			return true
		}
	}
	return false
}

package envoy

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// options is the target as the back end reads it.
type options struct {
	trustDomain string
	sds         string
	given       map[string]string // never changed
}

func newOptions(t translators.Target) options {
	return options{cmp.Or(t.TrustDomain, "cluster.local"), t.Options["sds"], t.Options}
}

const (
	listenOption  = "listen."
	inboundOption = "inbound."
	gatewayOption = "gateway."
)

// Options implements translators.Configurable.
func (backend) Options() []translators.Option {
	return []translators.Option{
		{Key: "sds", Form: "sds=SOURCE", Help: "where secrets come from: file:DIR (DIR/<secret>.yaml), or a cluster of the bootstrap that serves SDS; else the bootstrap's own"},
		{Key: listenOption, Form: "listen.NS/SERVICE:PORT=[NS/ACCOUNT=]HOST:PORT[,...]", Help: "where to listen for calls to the port, instead of at its address; for all proxies or those of an account"},
		{Key: inboundOption, Form: "inbound.NS/ACCOUNT:TARGETPORT=HOST:PORT,APPHOST:APPPORT", Help: "where to listen for calls to the workload, and where its process listens"},
		{Key: gatewayOption, Form: "gateway.NS/NAME:PORT=HOST:PORT", Help: "where the Gateway's proxies listen for calls to the port, instead of at the port of every address"},
	}
}

// redirected reports whether packets are redirected to the virtual listener of
// a direction: they are not where places to listen are given.
func (o options) redirected(prefix string) bool {
	for key := range o.given {
		if strings.HasPrefix(key, prefix) {
			return false
		}
	}
	return true
}

// place is where to listen, and for which proxies.
type place struct {
	host     string
	port     uint32
	bind     bool
	audience ir.Audience
}

// listen returns the places given for a port of a Service.
func (o options) listen(service ir.Name, port int32) ([]place, error) {
	var out []place
	for _, key := range slices.Sorted(maps.Keys(o.given)) {
		if !speaksOf(key, listenOption, service, port) {
			continue
		}
		places, err := placesOf(o.given[key])
		if err != nil {
			return nil, fmt.Errorf("option %s: %w", key, err)
		}
		out = append(out, places...)
	}
	return out, nil
}

// speaksOf reports whether a key names a port. A Service whose ports are not
// known may be named with any port, or with none.
func speaksOf(key, prefix string, n ir.Name, port int32) bool {
	named := prefix + n.String()
	if port == ir.AnyPort {
		return key == named || strings.HasPrefix(key, named+":")
	}
	return key == fmt.Sprintf("%s:%d", named, port)
}

func placesOf(value string) ([]place, error) {
	var out []place
	for _, one := range strings.Split(value, ",") {
		p := place{bind: true}
		if account, rest, ok := strings.Cut(one, "="); ok {
			p.audience.Namespace, p.audience.Account, _ = strings.Cut(account, "/")
			one = rest
		}
		var err error
		if p.host, p.port, err = splitAddress(one); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// inbound returns where to listen for a port of a workload, and where its
// process listens. It reports false where the options do not say.
func (o options) inbound(w ir.Name, port int32) (bind, app place, ok bool, err error) {
	key := fmt.Sprintf("%s%s:%d", inboundOption, w, port)
	value := o.given[key]
	if value == "" {
		return bind, app, false, nil
	}
	at, process, _ := strings.Cut(value, ",")
	if bind.host, bind.port, err = splitAddress(at); err == nil {
		app.host, app.port, err = splitAddress(process)
	}
	if err != nil {
		return bind, app, false, fmt.Errorf("option %s: %w", key, err)
	}
	return bind, app, true, nil
}

// inboundPorts lists the ports of a workload that the options name, in no order.
func (o options) inboundPorts(w ir.Name) []int32 {
	var out []int32
	for key := range o.given {
		if port, ok := strings.CutPrefix(key, inboundOption+w.String()+":"); ok {
			if n, err := strconv.ParseInt(port, 10, 32); err == nil {
				out = append(out, int32(n))
			}
		}
	}
	return out
}

// gateway returns where the proxies of a Gateway listen for calls to a port.
func (o options) gateway(g ir.Name, port int32) (place, error) {
	key := fmt.Sprintf("%s%s:%d", gatewayOption, g, port)
	at := place{host: "0.0.0.0", port: uint32(port)}
	if o.given[key] == "" {
		return at, nil
	}
	var err error
	if at.host, at.port, err = splitAddress(o.given[key]); err != nil {
		return at, fmt.Errorf("option %s: %w", key, err)
	}
	return at, nil
}

// taken reports whether Envoy itself listens at a place: of two listeners at one
// it refuses the second.
func (o options) taken(at place) bool {
	return at.host == "0.0.0.0" && (at.port == OutboundPort && o.redirected(listenOption) || at.port == InboundPort && o.redirected(inboundOption))
}

func splitAddress(s string) (string, uint32, error) {
	host, port, _ := net.SplitHostPort(s) // what has no port has none in range either
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q is not HOST:PORT with a port between 1 and 65535", s)
	}
	return host, uint32(n), nil
}

package istio

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/prototext"

	"github.com/meshknot/meshknot/translators/ir"
)

// Of every kind that istiod watches a marker is written last. Each kind comes to
// istiod in order, so who sees the marks of a show sees all of it.
const markers = "meshknot-marker"

// mark writes the markers of a show and waits until istiod makes use of all.
func (p *Plane) mark(show int) error {
	// The pod is a new one, and only the endpoint of a pod that is known is told.
	one := &pod{namespace: markers, account: "marker", name: fmt.Sprint("show-", show), labels: map[string]string{"app": "marker"},
		ip: fmt.Sprintf("10.245.%d.%d", show/250, 1+show%250)}
	number, name := int64(10000+show), ir.Name{Namespace: markers, Name: "marker"}
	mode := []string{"STRICT", "PERMISSIVE"}[show%2]
	host := "marker." + markers + ".svc.cluster.local"
	port := object{"name": "http", "port": int64(80), "protocol": "TCP", "appProtocol": "http"}
	for _, o := range []object{
		{"apiVersion": "v1", "kind": "Service", "metadata": meta(markers, "marker", nil), "spec": object{"clusterIP": "10.96.0.10",
			"ports": []any{port, object{"name": "show", "port": number, "protocol": "TCP", "appProtocol": "http"}}}},
		one.object(),
		endpointSlice(name, "marker", one, []any{port}),
		{"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": meta(markers, "marker", nil),
			"spec": object{"mtls": object{"mode": mode}}},
		{"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": meta(markers, "marker", nil), "spec": object{
			"action": "ALLOW", "rules": []any{object{"to": []any{object{"operation": object{"paths": []any{fmt.Sprint("/allowed-", show)}}}}}}}},
		{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta(markers, "marker", nil), "spec": object{
			"hosts": []any{host}, "http": []any{object{"name": fmt.Sprint("routed-", show), "route": []any{object{"destination": object{"host": host}}}}}}},
	} {
		if err := p.put(o); err != nil {
			return err
		}
	}
	var missing string
	var failed error
	err := p.lab.Eventually("push of everything that was written", 30*time.Second, func() bool {
		cfg, err := p.fetch(one)
		if failed = err; err != nil {
			return false
		}
		missing = cfg.unmarked(one, show, mode, host)
		return missing == ""
	})
	if err != nil {
		return errors.Join(fmt.Errorf("%w (istiod does not know the %s yet)", err, missing), failed)
	}
	// The next show has another.
	if err := p.kube.Delete(one.object()); err != nil {
		return err
	}
	delete(p.written, key(one.object()))
	return nil
}

// unmarked names a kind whose mark is not there.
func (c config) unmarked(one *pod, show int, mode, host string) string {
	inbound := prototext.Format(c.listeners[inboundListener])
	plain := false
	for _, chain := range c.listeners[inboundListener].GetFilterChains() {
		m := chain.GetFilterChainMatch()
		plain = plain || m.GetDestinationPort().GetValue() == 80 && m.GetTransportProtocol() == "raw_buffer"
	}
	endpoints := ""
	if e := c.endpoints["outbound|80||"+host]; e != nil {
		endpoints = prototext.Format(e)
	}
	switch {
	case c.clusters[fmt.Sprintf("outbound|%d||%s", 10000+show, host)] == nil:
		return "Service"
	case !strings.Contains(endpoints, `"`+one.ip+`"`):
		return "EndpointSlice"
	case !strings.Contains(inbound, fmt.Sprintf("allowed-%d\"", show)):
		return "AuthorizationPolicy"
	case plain != (mode == "PERMISSIVE"):
		return "PeerAuthentication"
	case !strings.Contains(prototext.Format(c.routes["80"]), fmt.Sprintf("\"routed-%d\"", show)):
		return "VirtualService"
	}
	return ""
}

package istio

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

type object = lab.Object

// objects renders Services, pods and where these are reached as Kubernetes has them.
func (c *cast) objects() []object {
	var out []object
	for _, sv := range c.services {
		out = append(out, sv.object())
	}
	for _, one := range c.pods {
		out = append(out, one.object())
	}
	for _, sv := range c.services {
		out = append(out, c.slices(sv)...)
	}
	return out
}

func meta(namespace, name string, labels map[string]string) object {
	m := object{"namespace": namespace, "name": name}
	if len(labels) > 0 {
		m["labels"] = labels
	}
	return m
}

func (sv *service) object() object {
	var ports []any
	for _, p := range sv.ports {
		ports = append(ports, object{"name": portName(p), "port": int64(p.Number), "protocol": transport(p), "appProtocol": appProtocol(p)})
	}
	ip := sv.ip
	if sv.headless {
		ip = "None"
	}
	return object{"apiVersion": "v1", "kind": "Service", "metadata": meta(sv.name.Namespace, sv.name.Name, nil),
		"spec": object{"clusterIP": ip, "ports": ports}}
}

// portName is the name in the input or, as Kubernetes wants one where there are
// several, one that Istio reads no protocol in.
func portName(p ir.Port) string { return cmp.Or(p.Name, fmt.Sprintf("number-%d", p.Number)) }

func transport(p ir.Port) string {
	if p.Protocol == ir.UDP {
		return "UDP"
	}
	return "TCP"
}

// appProtocol tells Istio what the policy was told: what is spoken on the port.
func appProtocol(p ir.Port) string {
	if p.TLS {
		return "tls"
	}
	return strings.ToLower(string(p.Protocol))
}

func (p *pod) object() object {
	return object{"apiVersion": "v1", "kind": "Pod", "metadata": meta(p.namespace, p.name, p.labels),
		"spec": object{"serviceAccountName": p.account, "containers": []any{object{"name": "app", "image": "none"}}},
		"status": object{"phase": "Running", "podIP": p.ip, "podIPs": []any{object{"ip": p.ip}},
			"conditions": []any{object{"type": "Ready", "status": "True"}}}}
}

// slices renders where a Service is reached: the ports of one pod may be others
// than those of the next.
func (c *cast) slices(sv *service) []object {
	type row struct {
		ports []any
		pod   *pod
	}
	rows := map[string]*row{}
	for _, port := range sv.ports {
		for _, t := range c.behind(sv, port) {
			r := rows[t.pod.name]
			if r == nil {
				r = &row{pod: t.pod}
				rows[t.pod.name] = r
			}
			r.ports = append(r.ports, object{"name": portName(port), "port": int64(t.port), "protocol": transport(port), "appProtocol": appProtocol(port)})
		}
	}
	var out []object
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		out = append(out, endpointSlice(sv.name, short(sv.name.Name+"-"+name), rows[name].pod, rows[name].ports))
	}
	return out
}

// short is a name that Kubernetes takes.
func short(name string) string {
	if len(name) <= 200 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:200], ".-") + "-" + hex.EncodeToString(sum[:4])
}

func endpointSlice(service ir.Name, name string, at *pod, ports []any) object {
	return object{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": ports,
		"metadata": meta(service.Namespace, name, map[string]string{"kubernetes.io/service-name": service.Name}),
		"endpoints": []any{object{"addresses": []any{at.ip}, "conditions": object{"ready": true},
			"targetRef": object{"kind": "Pod", "namespace": at.namespace, "name": at.name}}}}
}

// policies are what was translated, as objects.
func policies(artifacts []translators.Artifact) ([]object, error) {
	var out []object
	for _, a := range artifacts {
		plain, err := sink.Plain(a.Payload)
		if err != nil {
			return nil, err
		}
		o, ok := plain.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s %s is no object", a.ID.Type, a.ID.Name)
		}
		out = append(out, o)
	}
	return out, nil
}

// written is an object that the API server has from us.
type written struct {
	object object
	text   string
}

// write makes the API server have these objects, in their order, and none of those
// that it has from an earlier scene. Namespaces stay: nothing here could end one.
func (p *Plane) write(objects []object) error {
	next := map[string]bool{}
	for _, o := range objects {
		next[key(o)] = true
	}
	for _, k := range slices.Sorted(maps.Keys(p.written)) {
		if next[k] || p.written[k].object["metadata"].(object)["namespace"] == markers {
			continue
		}
		if err := p.kube.Delete(p.written[k].object); err != nil {
			return err
		}
		delete(p.written, k)
	}
	for _, o := range objects {
		if err := p.put(o); err != nil {
			return err
		}
	}
	return nil
}

// put writes an object where it is not written like this already.
func (p *Plane) put(o object) error {
	namespace := o["metadata"].(object)["namespace"].(string)
	if !p.namespaces[namespace] {
		if err := p.kube.Apply(object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": namespace}}); err != nil {
			return err
		}
		p.namespaces[namespace] = true
	}
	text, err := json.Marshal(o)
	if err != nil || p.written[key(o)].text == string(text) {
		return err
	}
	if old := p.written[key(o)].object; old != nil && clusterIP(old) != clusterIP(o) { // which nobody may change
		if err := p.kube.Delete(old); err != nil {
			return err
		}
	}
	if strings.Contains(o["apiVersion"].(string), "istio.io/") {
		if err := p.istiod.Validate(o); err != nil {
			return err
		}
	}
	if err := p.kube.Apply(o); err != nil {
		return err
	}
	if o["status"] != nil {
		if err := p.kube.ApplyStatus(o); err != nil {
			return err
		}
	}
	p.written[key(o)] = written{o, string(text)}
	return nil
}

func key(o object) string {
	m := o["metadata"].(object)
	return fmt.Sprintf("%s %s %s/%s", o["apiVersion"], o["kind"], m["namespace"], m["name"])
}

// clusterIP is the address of a Service; nothing else has one.
func clusterIP(o object) string {
	spec, _ := o["spec"].(object)
	ip, _ := spec["clusterIP"].(string)
	return ip
}

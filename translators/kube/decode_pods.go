package kube

import (
	"cmp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
)

func pod(w *corev1.Pod) *Pods { return pods(w.Labels, w.Spec, "spec") }

func deployment(w *appsv1.Deployment) *Pods   { return template(w.Spec.Template, "spec") }
func statefulSet(w *appsv1.StatefulSet) *Pods { return template(w.Spec.Template, "spec") }
func daemonSet(w *appsv1.DaemonSet) *Pods     { return template(w.Spec.Template, "spec") }
func replicaSet(w *appsv1.ReplicaSet) *Pods   { return template(w.Spec.Template, "spec") }
func job(w *batchv1.Job) *Pods                { return template(w.Spec.Template, "spec") }

func cronJob(w *batchv1.CronJob) *Pods {
	return template(w.Spec.JobTemplate.Spec.Template, "spec.jobTemplate.spec")
}

func template(w corev1.PodTemplateSpec, field string) *Pods {
	return pods(w.Labels, w.Spec, field+".template.spec")
}

func pods(labels map[string]string, w corev1.PodSpec, field string) *Pods {
	p := &Pods{
		Labels:  lasting(labels),
		Account: cmp.Or(w.ServiceAccountName, w.DeprecatedServiceAccount, DefaultAccount),
		Field:   field,
	}
	// An init container that keeps running beside the others is probed too.
	for i, c := range w.InitContainers {
		p.container(c, input.Element(input.Field(field, "initContainers"), i))
	}
	for i, c := range w.Containers {
		p.container(c, input.Element(input.Field(field, "containers"), i))
	}
	return p
}

func (p *Pods) container(c corev1.Container, field string) {
	own := map[string]int32{}
	for _, port := range c.Ports {
		if port.Name != "" {
			own[port.Name] = port.ContainerPort
		}
		p.Ports = append(p.Ports, ContainerPort{port.Name, port.ContainerPort, transport(port.Protocol)})
	}
	for _, probe := range []struct {
		name string
		*corev1.Probe
	}{{"livenessProbe", c.LivenessProbe}, {"readinessProbe", c.ReadinessProbe}, {"startupProbe", c.StartupProbe}} {
		if probe.Probe == nil {
			continue
		}
		if call, ok := probeCall(probe.ProbeHandler, own); ok {
			call.Field = input.Field(field, probe.name)
			p.Probes = append(p.Probes, call)
		}
	}
}

// probeCall returns the call that a probe makes to its pod; ports are the named
// ones of its container. A probe that names a host of its own calls elsewhere.
func probeCall(h corev1.ProbeHandler, ports map[string]int32) (Probe, bool) {
	var p Probe
	host := ""
	switch {
	case h.HTTPGet != nil:
		path, _, _ := strings.Cut(h.HTTPGet.Path, "?")
		host = h.HTTPGet.Host
		p = Probe{Port: numbered(h.HTTPGet.Port, ports), Protocol: ir.HTTP, Path: "/" + strings.TrimPrefix(path, "/")}
		if h.HTTPGet.Scheme == corev1.URISchemeHTTPS {
			p.Protocol, p.Path = ir.TCP, ""
		}
	case h.TCPSocket != nil:
		host = h.TCPSocket.Host
		p = Probe{Port: numbered(h.TCPSocket.Port, ports), Protocol: ir.TCP}
	case h.GRPC != nil:
		p = Probe{Port: h.GRPC.Port, Protocol: ir.GRPC}
	}
	return p, p.Port > 0 && host == ""
}

func numbered(port intstr.IntOrString, named map[string]int32) int32 {
	if port.Type == intstr.String {
		return named[port.StrVal]
	}
	return port.IntVal
}

package kube

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// LabelsAnnotation on a ServiceAccount says which labels its pods have.
const LabelsAnnotation = "meshknot.io/workload-labels"

// volatile are labels that differ between the pods of one class, or change
// with each revision of a class.
var volatile = []string{
	"pod-template-hash", "controller-revision-hash", "pod-template-generation",
	"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
	"controller-uid", "job-name", "batch.kubernetes.io/controller-uid",
	"batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index",
}

// Schemas lists the kinds that are read as context. Decode returns *Service,
// *Pods, *Account, *Namespace or *Slices.
func Schemas() []input.Schema {
	const apps, batch, discovery, v1 = "apps", "batch", "discovery.k8s.io", "v1"
	return []input.Schema{
		{Version: v1, Kind: "Namespace", Cluster: true, Wire: corev1.Namespace{}, Decode: decode(namespace)},
		{Version: v1, Kind: KindService, Wire: corev1.Service{}, Decode: decode(service)},
		{Version: v1, Kind: KindServiceAccount, Wire: corev1.ServiceAccount{}, Decode: account},
		{Version: v1, Kind: "Pod", Wire: corev1.Pod{}, Decode: decode(pod)},
		{Version: v1, Kind: "Endpoints", Wire: endpoints{}, Decode: decode(legacySlices)},
		{Group: discovery, Version: v1, Kind: "EndpointSlice", Wire: discoveryv1.EndpointSlice{}, Decode: decode(endpointSlice)},
		{Group: apps, Version: v1, Kind: "Deployment", Wire: appsv1.Deployment{}, Decode: decode(deployment)},
		{Group: apps, Version: v1, Kind: "StatefulSet", Wire: appsv1.StatefulSet{}, Decode: decode(statefulSet)},
		{Group: apps, Version: v1, Kind: "DaemonSet", Wire: appsv1.DaemonSet{}, Decode: decode(daemonSet)},
		{Group: apps, Version: v1, Kind: "ReplicaSet", Wire: appsv1.ReplicaSet{}, Decode: decode(replicaSet)},
		{Group: batch, Version: v1, Kind: "Job", Wire: batchv1.Job{}, Decode: decode(job)},
		{Group: batch, Version: v1, Kind: "CronJob", Wire: batchv1.CronJob{}, Decode: decode(cronJob)},
	}
}

// decode makes a Schema.Decode of a projection. What does not fit the wire type
// has been reported, and nothing of it is kept.
func decode[W, V any](project func(*W) *V) func(input.Document) (any, report.Report) {
	return func(d input.Document) (any, report.Report) {
		w, ok := d.Wire.(*W)
		if !ok {
			return nil, nil
		}
		return project(w), nil
	}
}

func namespace(*corev1.Namespace) *Namespace { return &Namespace{} }

// account reads the one annotation by which a ServiceAccount says something.
func account(d input.Document) (any, report.Report) {
	w, ok := d.Wire.(*corev1.ServiceAccount)
	if !ok {
		return nil, nil
	}
	text, ok := w.Annotations[LabelsAnnotation]
	if !ok {
		return &Account{}, nil
	}
	_, labels, err := input.ParseWorkload(d.Namespace + "/" + d.ID.Name + "=" + text)
	if err != nil {
		f := report.New(report.BadAnnotation, labelsRef(d.ID), "labels are written key=value,key=value: "+err.Error())
		return &Account{}, report.Report{f}
	}
	return &Account{PodLabels: labels}, nil
}

func labelsRef(id input.ID) report.Ref {
	return id.Ref(input.Field("metadata.annotations", LabelsAnnotation))
}

func service(w *corev1.Service) *Service {
	s := &Service{}
	for _, ip := range append([]string{w.Spec.ClusterIP}, w.Spec.ClusterIPs...) {
		switch {
		case ip == corev1.ClusterIPNone:
			s.Headless = true
		case ip != "" && !slices.Contains(s.Addresses, ip):
			s.Addresses = append(s.Addresses, ip)
		}
	}
	if w.Spec.Type == corev1.ServiceTypeExternalName {
		s.External = w.Spec.ExternalName
	} else if len(w.Spec.Selector) > 0 {
		s.Selector = lasting(w.Spec.Selector)
	}
	for i, p := range w.Spec.Ports {
		s.Ports = append(s.Ports, servicePort(p, input.Element("spec.ports", i)))
	}
	return s
}

func servicePort(w corev1.ServicePort, field string) ServicePort {
	p := ServicePort{Name: w.Name, Number: w.Port, Transport: transport(w.Protocol), Field: field}
	switch {
	case w.TargetPort.Type == intstr.String && w.TargetPort.StrVal != "":
		p.TargetName = w.TargetPort.StrVal
	case w.TargetPort.IntVal > 0:
		p.Target = w.TargetPort.IntVal
	default:
		p.Target = w.Port
	}
	app := ""
	if w.AppProtocol != nil {
		app = *w.AppProtocol
	}
	p.Protocol = protocol(p.Transport, app, w.Name)
	p.TLS = p.Protocol == ir.TCP && slices.Contains(encrypted, spoken(app, w.Name))
	return p
}

func transport(p corev1.Protocol) string {
	if p == "" {
		return string(corev1.ProtocolTCP)
	}
	return string(p)
}

// protocol finds what is spoken on a port: its transport, then appProtocol, then
// the word that its name starts with; empty where none of them says it. What is
// encrypted by the application is TCP to everybody else.
func protocol(transport, app, name string) ir.Protocol {
	if transport == string(corev1.ProtocolUDP) {
		return ir.UDP
	}
	if p, ok := protocols[spoken(app, name)]; ok || app == "" {
		return p
	}
	return ir.TCP
}

// spoken is the word by which a port says its protocol.
func spoken(app, name string) string {
	switch {
	case app != "":
		return strings.TrimPrefix(strings.ToLower(app), "kubernetes.io/")
	case name == "grpc-web" || strings.HasPrefix(name, "grpc-web-"):
		return "grpc-web"
	}
	word, _, _ := strings.Cut(name, "-")
	return word
}

// encrypted are the words for what the two ends encrypt themselves.
var encrypted = []string{"tls", "https", "wss"}

// protocols are what appProtocol and the names of ports say.
var protocols = map[string]ir.Protocol{
	"http": ir.HTTP, "ws": ir.HTTP, "grpc-web": ir.HTTP,
	"http2": ir.HTTP2, "h2c": ir.HTTP2,
	"grpc": ir.GRPC,
	"tcp":  ir.TCP, "udp": ir.TCP, "tls": ir.TCP, "https": ir.TCP, "wss": ir.TCP,
	"mongo": ir.TCP, "mysql": ir.TCP, "redis": ir.TCP,
}

// lasting returns the labels that all pods of a class have.
func lasting(labels map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range labels {
		if !slices.Contains(volatile, k) {
			out[k] = v
		}
	}
	return out
}

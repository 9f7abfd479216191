package gatewayapi

import (
	"fmt"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
)

func gatewayClass(d *decoder, w gatewayv1.GatewayClass) *GatewayClass {
	d.needs(ctrlForm, "spec.controllerName", string(w.Spec.ControllerName))
	if w.Spec.Description != nil && len(*w.Spec.Description) > 64 {
		d.bad("spec.description", "longer than 64 characters")
	}
	if p := w.Spec.ParametersRef; p != nil {
		d.is(groupForm, "spec.parametersRef.group", string(p.Group))
		d.needs(kindForm, "spec.parametersRef.kind", string(p.Kind))
		d.needs(nameForm, "spec.parametersRef.name", p.Name)
		check(d, labelForm, "spec.parametersRef.namespace", p.Namespace)
		d.unspoken(true, "spec.parametersRef", "parameters of a GatewayClass are not read")
	}
	return &GatewayClass{Spec: w.Spec}
}

func gateway(d *decoder, w gatewayv1.Gateway) *Gateway {
	d.needs(nameForm, "spec.gatewayClassName", string(w.Spec.GatewayClassName))
	d.some("spec.listeners", len(w.Spec.Listeners), 64)
	d.listeners(w.Spec.Listeners)
	d.atMost("spec.addresses", len(w.Spec.Addresses), 16)
	if a := w.Spec.AllowedListeners; a != nil && a.Namespaces != nil {
		oneOf(d, "spec.allowedListeners.namespaces.from", a.Namespaces.From,
			gatewayv1.NamespacesFromAll, gatewayv1.NamespacesFromSelector, gatewayv1.NamespacesFromSame, gatewayv1.NamespacesFromNone)
	}
	d.unspoken(len(w.Spec.Addresses) > 0, "spec.addresses", "the addresses of a Gateway are not translated")
	d.unspoken(w.Spec.Infrastructure != nil, "spec.infrastructure", "nothing is deployed for a Gateway, so this is not translated")
	d.unspoken(w.Spec.DefaultScope != "" && w.Spec.DefaultScope != gatewayv1.GatewayDefaultScopeNone, "spec.defaultScope", "a Gateway is no default: routes name it to be attached")
	d.unspoken(w.Spec.TLS != nil, "spec.tls", "TLS of a Gateway as a whole is not translated")
	return &Gateway{Spec: w.Spec}
}

func listenerSet(d *decoder, w gatewayv1.ListenerSet) *ListenerSet {
	p := w.Spec.ParentRef
	check(d, groupForm, "spec.parentRef.group", p.Group)
	check(d, kindForm, "spec.parentRef.kind", p.Kind)
	check(d, labelForm, "spec.parentRef.namespace", p.Namespace)
	d.needs(nameForm, "spec.parentRef.name", string(p.Name))
	if group, kind := string(value(p.Group, Group)), string(value(p.Kind, KindGateway)); group != Group || kind != KindGateway {
		d.foreign("spec.parentRef", kind, group, "")
	}
	d.some("spec.listeners", len(w.Spec.Listeners), 64)
	var all []gatewayv1.Listener
	for _, l := range w.Spec.Listeners {
		all = append(all, gatewayv1.Listener(l))
	}
	d.listeners(all)
	return &ListenerSet{Spec: w.Spec}
}

func (d *decoder) listeners(all []gatewayv1.Listener) {
	at := func(i int) string { return input.Element("spec.listeners", i) }
	var names, places []string
	for i, l := range all {
		d.listener(at(i), l)
		names = append(names, string(l.Name))
		places = append(places, fmt.Sprintf("%s on port %d for %q", l.Protocol, l.Port, value(l.Hostname, "")))
	}
	d.unique(names, at, "listener")
	d.unique(places, at, "listener with")
}

func (d *decoder) listener(at string, l gatewayv1.Listener) {
	d.needs(sectionForm, input.Field(at, "name"), string(l.Name))
	d.between(input.Field(at, "port"), int(l.Port), 1, 65535)
	d.needs(protocolForm, input.Field(at, "protocol"), string(l.Protocol))
	if h := value(l.Hostname, ""); h != "" {
		d.hostname(input.Field(at, "hostname"), h)
		if l.Protocol == gatewayv1.TCPProtocolType || l.Protocol == gatewayv1.UDPProtocolType {
			d.bad(input.Field(at, "hostname"), "a listener for %s has no hostname", l.Protocol)
		}
	}
	d.listenerTLS(input.Field(at, "tls"), l)
	if l.AllowedRoutes == nil {
		return
	}
	routes := input.Field(at, "allowedRoutes")
	if n := l.AllowedRoutes.Namespaces; n != nil {
		oneOf(d, input.Field(routes, "namespaces")+".from", n.From, gatewayv1.NamespacesFromAll, gatewayv1.NamespacesFromSelector, gatewayv1.NamespacesFromSame)
	}
	d.atMost(input.Field(routes, "kinds"), len(l.AllowedRoutes.Kinds), 8)
	for i, k := range l.AllowedRoutes.Kinds {
		field := input.Element(input.Field(routes, "kinds"), i)
		check(d, groupForm, input.Field(field, "group"), k.Group)
		d.needs(kindForm, input.Field(field, "kind"), string(k.Kind))
	}
}

func (d *decoder) listenerTLS(at string, l gatewayv1.Listener) {
	switch l.Protocol {
	case gatewayv1.HTTPProtocolType, gatewayv1.TCPProtocolType, gatewayv1.UDPProtocolType:
		if l.TLS != nil {
			d.bad(at, "a listener for %s has no tls", l.Protocol)
		}
	case gatewayv1.TLSProtocolType:
		if l.TLS == nil {
			d.bad(at, "a listener for TLS needs a tls mode")
		}
	}
	if l.TLS == nil {
		return
	}
	mode := value(l.TLS.Mode, gatewayv1.TLSModeTerminate)
	oneOf(d, input.Field(at, "mode"), &mode, gatewayv1.TLSModeTerminate, gatewayv1.TLSModePassthrough)
	if l.Protocol == gatewayv1.HTTPSProtocolType && mode == gatewayv1.TLSModePassthrough {
		d.bad(input.Field(at, "mode"), "a listener for HTTPS terminates TLS")
	}
	if mode == gatewayv1.TLSModeTerminate && len(l.TLS.CertificateRefs) == 0 && len(l.TLS.Options) == 0 {
		d.bad(at, "certificateRefs or options are needed to terminate TLS")
	}
	d.atMost(input.Field(at, "certificateRefs"), len(l.TLS.CertificateRefs), 64)
	for i, c := range l.TLS.CertificateRefs {
		field := input.Element(input.Field(at, "certificateRefs"), i)
		check(d, groupForm, input.Field(field, "group"), c.Group)
		check(d, kindForm, input.Field(field, "kind"), c.Kind)
		check(d, labelForm, input.Field(field, "namespace"), c.Namespace)
		d.needs(nameForm, input.Field(field, "name"), string(c.Name))
	}
}

func referenceGrant(d *decoder, w gatewayv1.ReferenceGrant) *ReferenceGrant {
	d.some("spec.from", len(w.Spec.From), 16)
	for i, f := range w.Spec.From {
		at := input.Element("spec.from", i)
		d.is(groupForm, input.Field(at, "group"), string(f.Group))
		d.needs(kindForm, input.Field(at, "kind"), string(f.Kind))
		d.needs(labelForm, input.Field(at, "namespace"), string(f.Namespace))
	}
	d.some("spec.to", len(w.Spec.To), 16)
	for i, t := range w.Spec.To {
		at := input.Element("spec.to", i)
		d.is(groupForm, input.Field(at, "group"), string(t.Group))
		d.needs(kindForm, input.Field(at, "kind"), string(t.Kind))
		check(d, nameForm, input.Field(at, "name"), t.Name)
	}
	return &ReferenceGrant{Spec: w.Spec}
}

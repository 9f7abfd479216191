{{/* xDS is served where a back end needs it, and not in plain text by mistake. */}}
{{- define "meshknot.xds" -}}
{{- if or .Values.backends.envoy.enabled .Values.backends.grpc.enabled }}
{{- if not (or .Values.xds.tlsSecret .Values.xds.insecure) }}
{{- fail "xds: envoy and grpc are served over TLS: name xds.tlsSecret, or set xds.insecure" }}
{{- end }}yes
{{- end }}
{{- end }}

{{/* The arguments of the controller; a test holds them against its flags. */}}
{{- define "meshknot.args" -}}
- controller
- --leader-elect
- --metrics-bind-address=:{{ .Values.metrics.port }}
- --health-probe-bind-address=:{{ .Values.healthPort }}
- --log-level={{ .Values.log.level }}
- --log-format={{ .Values.log.format }}
{{- if include "meshknot.xds" . }}
- --xds-listen=:{{ .Values.xds.port }}
- --trust-domain={{ .Values.xds.trustDomain }}
{{- if .Values.xds.tlsSecret }}
- --xds-tls-cert=/var/run/meshknot/xds/tls.crt
- --xds-tls-key=/var/run/meshknot/xds/tls.key
- --xds-tls-ca=/var/run/meshknot/xds/ca.crt
{{- else }}
- --xds-insecure
{{- end }}
{{- end }}
{{- with .Values.webhook }}
{{- if .enabled }}
- --webhook-bind-address=:{{ .port }}
{{- if eq .certificates.mode "given" }}
- --webhook-cert-path=/var/run/meshknot/webhook
{{- else }}
- --webhook-secret={{ include "meshknot.certificate" $ }}
- --webhook-service={{ include "meshknot.fullname" $ }}-webhook
- --webhook-configuration={{ include "meshknot.fullname" $ }}
{{- if .convertSMI }}
- --webhook-service={{ include "meshknot.fullname" $ }}-convert
- --convert-smi
{{- end }}
{{- end }}
- --audit-interval={{ .auditInterval }}
- --deny-opening={{ .denyOpening }}
- --deny-dangling={{ .denyDangling }}
{{- if .rules }}
- --policy=/var/run/meshknot/rules
{{- end }}
{{- else }}
- --webhook-bind-address=0
- --audit-interval=0
{{- end }}
{{- end }}
{{- with .Values.backends.consul }}
{{- if and .enabled .address }}
- --consul-address={{ .address }}
- --consul-cluster={{ .cluster }}
{{- if .authority.configMap }}
- --consul-ca-file=/var/run/meshknot/consul/{{ .authority.key }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "meshknot.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "meshknot.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "meshknot.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "meshknot.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "meshknot.selector" -}}
app.kubernetes.io/name: {{ include "meshknot.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "meshknot.labels" -}}
{{ include "meshknot.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "meshknot.metadata" -}}
name: {{ include "meshknot.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "meshknot.labels" . | nindent 2 }}
{{- end }}

{{- define "meshknot.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "meshknot.certificate" -}}
{{- default (printf "%s-webhook-cert" (include "meshknot.fullname" .)) .Values.webhook.certificates.secret }}
{{- end }}

{{/* The names of the files of files/rbac that are in force. */}}
{{- define "meshknot.rbac" -}}
{{- $b := .Values.backends }}
{{- $names := list "controller" }}
{{- if and .Values.webhook.enabled (eq .Values.webhook.certificates.mode "own") }}{{ $names = append $names "webhook" }}
{{- if .Values.webhook.convertSMI }}{{ $names = append $names "conversion" }}{{ end }}
{{- end }}
{{- if $b.istio.enabled }}{{ $names = append $names "istio" }}{{ end }}
{{- if $b.linkerd.enabled }}{{ $names = append $names "linkerd" }}{{ end }}
{{- if and $b.consul.enabled (not $b.consul.address) }}{{ $names = append $names "consul" }}{{ end }}
{{- if $b.gatewayApi.enabled }}{{ $names = append $names "gateway-api" }}
{{- range $b.gatewayApi.authorization }}{{ $names = append $names (printf "gateway-api-%s" .) }}{{ end }}
{{- end }}
{{- join "," $names }}
{{- end }}

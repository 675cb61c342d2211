{{- define "remora.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "remora.fullname" -}}
{{- $name := include "remora.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "remora.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: rocketmq
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "remora.release" . }}
{{- end }}

{{/* Labels of everything in the release. */}}
{{- define "remora.release" -}}
app.kubernetes.io/name: {{ include "remora.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of the replicas, and of nothing else. */}}
{{- define "remora.selector" -}}
{{ include "remora.release" . }}
app.kubernetes.io/component: proxy
{{- end }}

{{- define "remora.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}

{{- define "remora.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "remora.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* YAML reads off and on without quotes as false and true. */}}
{{- define "remora.mode" -}}
{{- if kindIs "bool" . }}{{ ternary "on" "off" . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* How long a pod may take to end, in seconds: the kubelet's wait, the process's deadline, and a margin. */}}
{{- define "remora.gracePeriod" -}}
{{- $drain := .Values.config.drain }}
{{- add (int64 .Values.preStopSeconds) (div (add (int64 $drain.deadline_ms) 999) 1000) 5 }}
{{- end }}

{{- define "remora.preStop" -}}
{{- if and .Values.preStopSeconds (semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version) -}}
true
{{- end }}
{{- end }}

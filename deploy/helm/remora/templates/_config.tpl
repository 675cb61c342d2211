{{/* A value in TOML. TOML reads JSON's escapes. YAML's numbers arrive as floats; all of them are whole here. */}}
{{- define "remora.toml.value" -}}
{{- if kindIs "slice" . -}}
[{{ range $i, $item := . }}{{ if $i }}, {{ end }}{{ include "remora.toml.value" $item }}{{ end }}]
{{- else if or (kindIs "string" .) (kindIs "bool" .) -}}
{{ toJson . }}
{{- else -}}
{{ int64 . }}
{{- end }}
{{- end }}

{{/* The keys of a table that are set, without the tables in it. */}}
{{- define "remora.toml.keys" -}}
{{- range $key, $value := . }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ $key }} = {{ include "remora.toml.value" $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* The configuration file. */}}
{{- define "remora.toml" -}}
name_servers = {{ include "remora.toml.value" .Values.nameServers }}
admin = "{{ $.Values.bindAddress }}:{{ int64 .Values.admin.port }}"
{{- include "remora.toml.keys" .Values.config }}
{{- /* Order matters: routes that are asked for at a broker's own port contain the first listener for other brokers. */}}
{{- if and .Values.external.enabled .Values.external.brokerPorts }}
{{- include "remora.toml.external" . }}
{{- end }}

[[listener]]
bind = "{{ $.Values.bindAddress }}:{{ int64 .Values.service.port }}"
advertise = {{ include "remora.internalAddress" . | toJson }}
protocols = {{ include "remora.toml.value" .Values.service.protocols }}
{{- if and .Values.external.enabled (not .Values.external.brokerPorts) }}
{{- include "remora.toml.external" . }}
{{- end }}
{{- range .Values.brokers }}

[[broker_listener]]
broker = {{ toJson .name }}
bind = "{{ $.Values.bindAddress }}:{{ int64 .port }}"
advertise = {{ include "remora.brokerAddress" (dict "root" $ "broker" .) | toJson }}
vip = {{ default false .vip }}
{{- if and $.Values.external.enabled $.Values.external.brokerPorts $.Values.external.proxyProtocol }}
proxy_protocol = true
{{- end }}
{{- end }}
{{- range $table, $keys := .Values.config }}
{{- if kindIs "map" $keys }}

[{{ $table }}]
{{- include "remora.toml.keys" $keys }}
{{- end }}
{{- end }}
{{- include "remora.toml.tls" . }}
{{- if .Values.credentials.secretName }}

[credentials]
secret_key_file = "/etc/remora/credentials/{{ .Values.credentials.secretKeyKey }}"
{{- end }}
{{- end }}

{{- define "remora.toml.external" }}

[[listener]]
bind = "{{ $.Values.bindAddress }}:{{ int64 .Values.external.containerPort }}"
advertise = {{ include "remora.externalAddress" . | toJson }}
protocols = {{ include "remora.toml.value" .Values.external.protocols }}
{{- if .Values.external.proxyProtocol }}
proxy_protocol = true
{{- end }}
{{- end }}

{{/* TLS to clients, and to brokers and name servers. */}}
{{- define "remora.toml.tls" }}
{{- if ne (include "remora.mode" .Values.tls.mode) "off" }}

[tls]
mode = {{ include "remora.mode" .Values.tls.mode | toJson }}
client_auth = {{ toJson .Values.tls.clientAuth }}
{{- if .Values.tls.clientCaSecret }}
client_ca = "/etc/remora/tls/{{ .Values.tls.clientCaSecret }}/ca.crt"
{{- end }}
{{- range include "remora.certificates" . | fromJsonArray }}

[[tls.certificate]]
certificate = "/etc/remora/tls/{{ . }}/tls.crt"
key = "/etc/remora/tls/{{ . }}/tls.key"
{{- end }}
{{- end }}
{{- if ne (include "remora.mode" .Values.upstreamTls.mode) "off" }}

[upstream_tls]
mode = "on"
verify = {{ toJson .Values.upstreamTls.verify }}
{{- with .Values.upstreamTls.caSecret }}
ca = "/etc/remora/tls/{{ . }}/ca.crt"
{{- end }}
{{- with .Values.upstreamTls.certificateSecret }}
certificate = "/etc/remora/tls/{{ . }}/tls.crt"
key = "/etc/remora/tls/{{ . }}/tls.key"
{{- end }}
{{- end }}
{{- end }}

{{/* Names of the secrets with certificates for clients. The first is the default certificate. */}}
{{- define "remora.certificates" -}}
{{- $secrets := list }}
{{- if .Values.tls.certManager.enabled }}
{{- $secrets = append $secrets (printf "%s-tls" (include "remora.fullname" .)) }}
{{- end }}
{{- range .Values.tls.certificates }}
{{- $secrets = append $secrets .secretName }}
{{- end }}
{{- toJson $secrets }}
{{- end }}

{{/* Names of all secrets that are mounted below /etc/remora/tls, each once. */}}
{{- define "remora.tlsSecrets" -}}
{{- $secrets := list }}
{{- if ne (include "remora.mode" .Values.tls.mode) "off" }}
{{- $secrets = include "remora.certificates" . | fromJsonArray }}
{{- $secrets = append $secrets .Values.tls.clientCaSecret }}
{{- end }}
{{- if ne (include "remora.mode" .Values.upstreamTls.mode) "off" }}
{{- $secrets = append $secrets .Values.upstreamTls.caSecret }}
{{- $secrets = append $secrets .Values.upstreamTls.certificateSecret }}
{{- end }}
{{- compact $secrets | uniq | toJson }}
{{- end }}

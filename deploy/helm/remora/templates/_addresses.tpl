{{/* The advertised addresses. They are the same for all replicas and always set: clients outside the cluster cannot reach
the address that a pod sees as its own. */}}

{{- define "remora.internalHost" -}}
{{ include "remora.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "remora.internalAddress" -}}
{{- if .Values.service.advertise -}}
{{ .Values.service.advertise }}
{{- else -}}
{{ include "remora.internalHost" . }}:{{ int64 .Values.service.port }}
{{- end }}
{{- end }}

{{/* The host as it is written before a port. */}}
{{- define "remora.externalHost" -}}
{{- $host := .Values.external.host }}
{{- if contains ":" $host }}[{{ $host }}]{{ else }}{{ $host }}{{ end }}
{{- end }}

{{- define "remora.externalAddress" -}}
{{- with .Values.external -}}
{{- $port := ternary .nodePort .port (eq .type "NodePort") -}}
{{ include "remora.externalHost" $ }}:{{ int64 (default $port .advertisedPort) }}
{{- end }}
{{- end }}

{{/* The advertised address of `broker`, an item of brokers; `root` is the chart's context. */}}
{{- define "remora.brokerAddress" -}}
{{- $external := .root.Values.external }}
{{- if and $external.enabled $external.brokerPorts -}}
{{- $port := ternary .broker.nodePort .broker.port (eq $external.type "NodePort") -}}
{{ include "remora.externalHost" .root }}:{{ int64 (default $port .broker.advertisedPort) }}
{{- else if .root.Values.service.advertise -}}
{{ regexReplaceAll ":[0-9]+$" .root.Values.service.advertise "" }}:{{ int64 (default .broker.port .broker.advertisedPort) }}
{{- else -}}
{{ include "remora.internalHost" .root }}:{{ int64 (default .broker.port .broker.advertisedPort) }}
{{- end }}
{{- end }}

{{/* Refuses values with which clients would get an address that they cannot reach, or pods could not start. */}}
{{- define "remora.check" -}}
{{- $external := .Values.external }}
{{- $tls := .Values.tls }}
{{- if not .Values.nameServers }}
{{- fail "nameServers is not set: host:port of every name server, such as [\"ns-0.rocketmq:9876\"]" }}
{{- end }}
{{- if $external.enabled }}
{{- if not $external.host }}
{{- fail "external.host is not set: it is advertised to clients outside as the address of every broker, and the chart cannot know it. Set the name (or address) by which they reach the load balancer or the nodes, without a port" }}
{{- end }}
{{- if eq $external.type "NodePort" }}
{{- if not $external.nodePort }}
{{- fail "external.nodePort is not set: it is advertised, so Kubernetes cannot choose it; choose one of the nodes' range, such as 30080" }}
{{- end }}
{{- range .Values.brokers }}
{{- if not .nodePort }}
{{- fail (printf "brokers: %s has no nodePort: it is advertised, so Kubernetes cannot choose it; choose one of the nodes' range" .name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $external.proxyProtocol (not .Values.config.proxy_protocol_from) }}
{{- fail "external.proxyProtocol is set, but config.proxy_protocol_from is empty: list the networks of the load balancer, such as [\"10.0.0.0/8\"]; headers from other sources are not trusted" }}
{{- end }}
{{- end }}
{{- $protocols := ternary $external.protocols .Values.service.protocols (and $external.enabled $external.brokerPorts) }}
{{- if and .Values.brokers (not (has "remoting" $protocols)) }}
{{- fail "brokers: clients of these ports speak remoting, and their routes contain a listener that does not take it: add remoting to external.protocols (or to service.protocols, with external.brokerPorts: false)" }}
{{- end }}
{{- if and (ne (include "remora.mode" $tls.mode) "off") (not $tls.certificates) (not $tls.certManager.enabled) }}
{{- fail "tls.mode is set, but there is no certificate: list secrets in tls.certificates, or enable tls.certManager" }}
{{- end }}
{{- if and $tls.certManager.enabled (not $tls.certManager.issuerRef.name) }}
{{- fail "tls.certManager.issuerRef.name is not set: name the Issuer or ClusterIssuer that signs the certificate" }}
{{- end }}
{{- if and (ne $tls.clientAuth "none") (not $tls.clientCaSecret) }}
{{- fail "tls.clientAuth is set, but tls.clientCaSecret is not: name the secret with the authority of clients' certificates (ca.crt)" }}
{{- end }}
{{- with .Values.config.drain }}
{{- if gt (add (int64 .wait_ms) (int64 .time_ms)) (int64 .deadline_ms) }}
{{- fail "config.drain: wait_ms and time_ms together must not be longer than deadline_ms" }}
{{- end }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "serviceMonitor and podMonitor are both enabled: each replica would be scraped and counted twice" }}
{{- end }}
{{- $ports := list (int64 .Values.service.port) (int64 .Values.admin.port) }}
{{- if $external.enabled }}
{{- $ports = append $ports (int64 $external.containerPort) }}
{{- end }}
{{- range .Values.brokers }}
{{- $ports = append $ports (int64 .port) }}
{{- if .vip }}
{{- $ports = append $ports (sub (int64 .port) 2) }}
{{- end }}
{{- end }}
{{- if ne (len $ports) (len (uniq $ports)) }}
{{- fail (printf "two listeners have the same port in the container: %s (service.port, admin.port, external.containerPort, each broker's port, and that minus two with vip)" (join ", " $ports)) }}
{{- end }}
{{- end }}

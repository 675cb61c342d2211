"""Checks of rendered manifests, beyond Kubernetes' schemas."""

import json
import tomllib

import kubernetes_validate
import yaml

# Kubernetes has no schemas for these; their fields are checked below.
CUSTOM = {"Certificate", "PodMonitor", "PrometheusRule", "ServiceMonitor"}


class Rendered:
    """The documents of one release."""

    def __init__(self, text):
        self.documents = [document for document in yaml.safe_load_all(text) if document]

    def all(self, kind):
        """The documents of a kind."""
        return [document for document in self.documents if document["kind"] == kind]

    def one(self, kind):
        """The only one of its kind."""
        found = self.all(kind)
        assert len(found) == 1, f"{len(found)} documents are a {kind}"
        return found[0]

    @property
    def pod(self):
        """The replicas' pod template."""
        return self.one("Deployment")["spec"]["template"]

    @property
    def container(self):
        """The pod's only container."""
        (container,) = self.pod["spec"]["containers"]
        return container

    @property
    def ports(self):
        """The container's ports by name."""
        return {port["name"]: port["containerPort"] for port in self.container["ports"]}

    @property
    def toml(self):
        """The configuration file, as text."""
        return next(d for d in self.all("ConfigMap") if "remora.toml" in d["data"])["data"]["remora.toml"]

    @property
    def config(self):
        """The configuration file, read."""
        return tomllib.loads(self.toml)


def check(rendered, version):
    """Checks all manifests, against the schemas of one version of Kubernetes."""
    for document in rendered.documents:
        if document["kind"] not in CUSTOM:
            check_schema(document, version)
    check_security(rendered)
    check_drain(rendered, version)
    check_selectors(rendered)
    check_listeners(rendered)
    check_files(rendered)
    check_custom(rendered)


def check_schema(document, version):
    """The document fits Kubernetes' schema; strictly, so that unknown fields are errors."""
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        # The error's own text contains the whole schema.
        where = f"{document['kind']} {document['metadata']['name']}, {'.'.join(str(part) for part in error.path)}"
        raise AssertionError(f"{where}: {error.message}") from None


def check_security(rendered):
    """No root, no capabilities, no writable file and no token of Kubernetes' API, in the tests' pods as well."""
    pods = [rendered.pod["spec"], *(pod["spec"] for pod in rendered.all("Pod"))]
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        # With them a Service called remora-log would be the variable REMORA_LOG_….
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = dict(container["securityContext"])
            user = context.pop("runAsUser", pod["securityContext"].get("runAsUser"))
            assert user, f"{container['name']} has no user"
            assert context == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, context


def check_drain(rendered, version):
    """The kubelet waits longer than the process takes, and no replica ends before its successor is ready."""
    spec = rendered.one("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    sleep = rendered.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if sleep:
        assert int(version.split(".")[1]) >= 30, "this version has no preStop sleep"
    drain = rendered.config["drain"]
    deadline = sleep + drain["deadline_ms"] / 1000
    grace = rendered.pod["spec"]["terminationGracePeriodSeconds"]
    assert grace > deadline, f"killed after {grace} s, takes {deadline} s"
    assert drain["wait_ms"] + drain["time_ms"] <= drain["deadline_ms"]
    # Balancers must notice before new clients are refused.
    probe = rendered.container["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] * 1000 <= drain["wait_ms"] or sleep


def selects(selector, labels):
    """Whether the selector selects pods with these labels."""
    return selector.items() <= labels.items()


def check_selectors(rendered):
    """Every selector selects the replicas and nothing else; every named port exists."""
    labels = rendered.pod["metadata"]["labels"]
    others = [pod["metadata"]["labels"] for pod in rendered.all("Pod")]
    selectors = [service["spec"]["selector"] for service in rendered.all("Service")]
    for kind in ("Deployment", "PodDisruptionBudget"):
        selectors += [document["spec"]["selector"]["matchLabels"] for document in rendered.all(kind)]
    selectors += [policy["spec"]["podSelector"]["matchLabels"] for policy in rendered.all("NetworkPolicy")]
    selectors += [
        spread["labelSelector"]["matchLabels"] for spread in rendered.pod["spec"].get("topologySpreadConstraints", [])
    ]
    for selector in selectors:
        assert selects(selector, labels), f"{selector} does not select the replicas"
        assert not any(selects(selector, other) for other in others), f"{selector} selects a test"

    named = [port["targetPort"] for service in rendered.all("Service") for port in service["spec"]["ports"]]
    named += [rendered.container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    for policy in rendered.all("NetworkPolicy"):
        named += [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    assert set(named) <= set(rendered.ports), f"no such ports: {set(named) - set(rendered.ports)}"
    for policy in rendered.all("NetworkPolicy"):
        open_ports = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert open_ports == set(rendered.ports), "the policy closes a port"
    for scaler in rendered.all("HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"]["name"] == rendered.one("Deployment")["metadata"]["name"]
        assert "replicas" not in rendered.one("Deployment")["spec"], "replicas and the scaler contradict each other"


def check_listeners(rendered):
    """Every listener is a port of the container and has an advertised address that leads back to it."""
    config = rendered.config
    listeners = config["listener"] + config.get("broker_listener", [])
    bound = {int(config["admin"].rsplit(":", 1)[1])}
    reachable = reachable_addresses(rendered)
    for listener in listeners:
        port = int(listener["bind"].rsplit(":", 1)[1])
        bound.add(port)
        host, advertised = listener["advertise"].rsplit(":", 1)
        ways = reachable[port]
        assert host and int(advertised) in ways, f"{listener['advertise']} leads to {ways}, not to {port}"
        if listener.get("vip"):
            bound.add(port - 2)
            assert int(advertised) - 2 in reachable[port - 2], "the VIP channel leads nowhere"
    assert bound == set(rendered.ports.values()), f"{bound} are bound, {rendered.ports} are ports of the container"


def reachable_addresses(rendered):
    """By port of the container, the ports at which clients reach it through a Service."""
    reachable = {}
    for service in rendered.all("Service"):
        for port in service["spec"]["ports"]:
            ways = reachable.setdefault(rendered.ports[port["targetPort"]], set())
            ways.add(port["nodePort"] if service["spec"]["type"] == "NodePort" else port["port"])
    return reachable


def check_files(rendered):
    """Every file that the configuration names is mounted, and so is the configuration."""
    mounts = {mount["mountPath"]: mount["name"] for mount in rendered.container["volumeMounts"]}
    assert len(mounts) == len(rendered.container["volumeMounts"]), "two volumes have the same path"
    volumes = {volume["name"] for volume in rendered.pod["spec"]["volumes"]}
    assert set(mounts.values()) == volumes, f"{mounts} against {volumes}"
    assert all("subPath" not in mount for mount in rendered.container["volumeMounts"]), "a renewed certificate would not reach the pod"
    for path in [rendered.container["args"][-1], *files(rendered.config)]:
        assert path.rsplit("/", 1)[0] in mounts, f"{path} is not mounted"


def files(value):
    """All paths in a configuration."""
    if isinstance(value, dict):
        return [path for item in value.values() for path in files(item)]
    if isinstance(value, list):
        return [path for item in value for path in files(item)]
    return [value] if isinstance(value, str) and value.startswith("/") else []


def check_custom(rendered):
    """Resources that Kubernetes has no schemas for."""
    services = rendered.all("Service")
    for monitor in rendered.all("ServiceMonitor"):
        assert set(monitor["spec"]) == {"selector", "endpoints"}
        selector = monitor["spec"]["selector"]["matchLabels"]
        (service,) = [s for s in services if selects(selector, s["metadata"]["labels"])]
        assert service["spec"]["publishNotReadyAddresses"], "draining replicas would not be scraped"
        check_endpoints(monitor["spec"]["endpoints"], {port["name"] for port in service["spec"]["ports"]})
    for monitor in rendered.all("PodMonitor"):
        assert set(monitor["spec"]) == {"selector", "podMetricsEndpoints"}
        assert selects(monitor["spec"]["selector"]["matchLabels"], rendered.pod["metadata"]["labels"])
        check_endpoints(monitor["spec"]["podMetricsEndpoints"], set(rendered.ports))
    for certificate in rendered.all("Certificate"):
        spec = certificate["spec"]
        assert set(spec["issuerRef"]) == {"name", "kind", "group"} and all(spec["issuerRef"].values())
        assert f"/etc/remora/tls/{spec['secretName']}/tls.crt" == rendered.config["tls"]["certificate"][0]["certificate"]
        names = set(spec["dnsNames"]) | set(spec.get("ipAddresses", []))
        advertised = {listener["advertise"].rsplit(":", 1)[0].strip("[]") for listener in rendered.config["listener"]}
        assert advertised <= names, f"{advertised} are advertised, the certificate is for {names}"


def check_endpoints(endpoints, ports):
    """Prometheus scrapes a port that exists, under the job name that the rules select."""
    (endpoint,) = endpoints
    assert set(endpoint) == {"port", "path", "interval", "relabelings"}, endpoint
    assert endpoint["port"] in ports
    assert endpoint["path"] == "/metrics"
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "remora"}]


def schema_keys(schema):
    """The keys of the configuration file that the chart's schema allows, as `table.key`."""
    keys = set()
    for key, value in schema["properties"]["config"]["properties"].items():
        inner = value.get("properties")
        keys |= {f"{key}.{name}" for name in inner} if inner else {key}
    return keys


def load_schema(path):
    """The chart's schema."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)

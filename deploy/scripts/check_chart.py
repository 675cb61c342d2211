"""Renders the chart with every file of values and checks the manifests: check_chart.py HELM OUT.

Manifests for the newest Kubernetes are left below OUT, under the names of the values files."""

import json
import pathlib
import re
import subprocess
import sys

import yaml

import manifests

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
CHART = DEPLOY / "helm/remora"
# The oldest that the chart allows, the last without the preStop action sleep, the first with it,
# the newest.
VERSIONS = ["1.27", "1.29", "1.30", "1.37"]
# Kinds that the values with everything enabled must render.
ALL = {
    "Certificate", "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "Pod", "PodDisruptionBudget",
    "PrometheusRule", "Service", "ServiceAccount", "ServiceMonitor",
}
# Keys of the configuration file that the chart sets itself, or must not set.
OWN = re.compile(r"name_servers|admin|node_id|(listener|broker_listener|tls|tls\.certificate|upstream_tls|credentials)\..*")


def main():
    helm, out = sys.argv[1], pathlib.Path(sys.argv[2])
    values = sorted((CHART / "ci").glob("*.yaml"))
    run(helm, "lint", "--strict", CHART, *(flag for path in values for flag in ("--values", path)))
    rendered = {path.stem: render(helm, path, out) for path in values}
    every = rendered["load-balancer"]
    kinds = {document["kind"] for document in every.documents}
    assert kinds == ALL, f"load-balancer.yaml renders other kinds: {kinds ^ ALL}"
    assert rendered["node-port"].all("PodMonitor")
    check_files_of_chart(every, out)
    check_package(helm, values[0], out)
    check_keys()
    refused = sorted((CHART / "ci/refused").glob("*.yaml"))
    assert refused
    for path in refused:
        refuse(helm, path)
    print(f"chart: {len(values)} files of values on Kubernetes {', '.join(VERSIONS)}; {len(refused)} refused, as expected")


def run(*command):
    """Runs a command and returns its output; exits if the command fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"failed: {' '.join(str(part) for part in command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def template(helm, chart, values, version):
    """The command that renders the chart."""
    return [helm, "template", "test", chart, "--namespace", "mq", "--kube-version", version, "--values", values]


def render(helm, path, out):
    """Renders for every version of Kubernetes, and checks each."""
    for version in VERSIONS:
        text = run(*template(helm, CHART, path, version))
        rendered = manifests.Rendered(text)
        try:
            manifests.check(rendered, version)
        except Exception:
            print(f"{path.name} on Kubernetes {version}:", file=sys.stderr)
            raise
    (out / f"{path.stem}.yaml").write_text(text, encoding="utf-8")
    return rendered


def check_files_of_chart(rendered, out):
    """The rendered rules and dashboard equal those of deploy/prometheus and deploy/grafana."""
    groups = rendered.one("PrometheusRule")["spec"]["groups"]
    sources = [yaml.safe_load((DEPLOY / f"prometheus/{name}.rules.yaml").read_text()) for name in ("recording", "alerts")]
    assert groups == [group for source in sources for group in source["groups"]], "the rules differ"
    # For promtool.
    (out / "extracted.rules.yaml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    dashboard = next(d["data"]["remora.json"] for d in rendered.all("ConfigMap") if "remora.json" in d["data"])
    assert json.loads(dashboard) == json.loads((DEPLOY / "grafana/remora.json").read_text()), "the dashboard differs"


def check_package(helm, values, out):
    """A package contains the targets of the links in files, and renders the same."""
    run(helm, "package", CHART, "--destination", out)
    (package,) = out.glob("remora-*.tgz")
    everything = CHART / "ci/load-balancer.yaml"
    for path in (values, everything):
        plain, packed = (run(*template(helm, chart, path, VERSIONS[-1])) for chart in (CHART, package))
        assert plain == packed, "the package and the chart render differently"


def check_keys():
    """The schema allows every key of the configuration file that is not the chart's own."""
    text = (DEPLOY / "remora.example.toml").read_text(encoding="utf-8")
    table, known = "", set()
    for line in text.splitlines():
        if head := re.match(r"(?:# )?\[+([a-z_.]+)\]+$", line):
            table = head[1] + "."
        elif key := re.match(r"(?:# )?([a-z_]+) = ", line):
            known.add(table + key[1])
    known = {key for key in known if not OWN.fullmatch(key)}
    allowed = manifests.schema_keys(manifests.load_schema(CHART / "values.schema.json"))
    assert allowed == known, f"values.schema.json and remora.example.toml differ in {sorted(allowed ^ known)}"


def refuse(helm, path):
    """Helm refuses the values with the text in their first line."""
    words = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    command = [str(part) for part in template(helm, CHART, path, VERSIONS[-1])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode, f"{path.name} was not refused"
    assert words in done.stderr, f"{path.name} was refused for another reason:\n{done.stderr}"


if __name__ == "__main__":
    main()

"""Checks rules and dashboard: check_dashboard.py OUT. Leaves every expression of the dashboard below OUT as a rule, for
promtool, and prints nothing on success."""

import json
import pathlib
import re
import sys

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
# Values for the variables that Grafana replaces before it asks.
VARIABLES = {"__rate_interval": "1m", "namespace": ".*", "cluster": ".*", "node_id": ".*"}
METRIC = re.compile(r"(?<![:\w])(?:rocketmq|process)_[a-z_]+(?![:\w])")


def main():
    out = pathlib.Path(sys.argv[1])
    dashboard = json.loads((DEPLOY / "grafana/remora.json").read_text(encoding="utf-8"))
    check_import(dashboard)
    check_codes()
    check_metrics()
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    rules = [{"record": f"panel:{n}", "expr": put_in(text)} for n, text in enumerate(asked)]
    (out / "dashboard.rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    check_runbook()


def check_import(dashboard):
    """Importing the dashboard asks for nothing."""
    assert "__inputs" not in dashboard and "id" not in dashboard, "exported for sharing: importing it asks for a data source"
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["datasource"]["query"] == "prometheus"
    source = {"type": "prometheus", "uid": "${datasource}"}
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels), "panels share an id"
    for panel in panels:
        if panel["type"] != "row":
            assert panel["datasource"] == source, f"{panel['title']} has a data source of its own"
            assert panel["targets"]
    for name in variables.keys() - {"datasource"}:
        assert variables[name]["datasource"] == source
        assert name in VARIABLES
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not taken & cells and place["x"] + place["w"] <= 24, f"{panel['title']} overlaps another panel"
        taken |= cells


def put_in(expression):
    """The expression with its variables' values."""
    unknown = set(re.findall(r"\$(\w+)", expression)) - VARIABLES.keys()
    assert not unknown, f"unknown variables {unknown} in {expression}"
    return re.sub(r"\$(\w+)", lambda name: VARIABLES[name[1]], expression)


def check_runbook():
    """Every alert has a section in the runbook and names it; its threshold is a line of its own."""
    sections = set(re.findall(r"^#+ (Remora\w+)$", (DEPLOY / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    (group,) = yaml.safe_load((DEPLOY / "prometheus/alerts.rules.yaml").read_text(encoding="utf-8"))["groups"]
    tests = (DEPLOY / "prometheus/alerts.test.yaml").read_text(encoding="utf-8")
    alerts = set()
    for rule in group["rules"]:
        name = rule["alert"]
        alerts.add(name)
        assert rule["annotations"]["runbook"] == f"deploy/README.md#{name.lower()}", name
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, name
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, name
        assert re.match(r"[<>] ", rule["expr"].rstrip().splitlines()[-1]), f"{name} has no threshold"
        assert name in tests, f"{name} has no test"
    assert sections == alerts, f"the runbook and the alerts differ in {sections ^ alerts}"


def check_codes():
    """Remora has the codes and results that rules and dashboard select, of all protocols."""
    remoting, grpc = DEPLOY.parent / "remoting-codec/src", DEPLOY.parent / "processors/grpc/src"
    http = DEPLOY.parent / "processors/http/src/metrics.rs"
    files = {
        "code": [
            (remoting / "request_code.rs", r"^    \d+ ([A-Z_0-9]+)$"),
            (grpc / "rpc.rs", r"^    ([A-Z]\w+),$"),
            (http, r'^    \w+ = "([a-zA-Z.]+)" \w+;$'),
        ],
        "result": [
            (remoting / "response_code.rs", r"^    \d+ ([A-Z_0-9]+)$"),
            (grpc / "proto/status.rs", r'^ +\w+ = \d+ "([A-Z_0-9]+)",$'),
            # Of calls that end without a status of the service.
            (grpc / "metrics.rs", r'^ +.*=> "([a-z_]+)",$'),
            (http, r'"(\dxx)"'),
        ],
    }
    known = {label: set() for label in files}
    for label, sources in files.items():
        for file, pattern in sources:
            names = re.findall(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
            assert names, f"{file} has none"
            known[label].update(names)
    for text in expressions():
        for label, names in re.findall(r'\b(code|result)[=!]~"([^"]*)"', text):
            unknown = set(names.split("|")) - known[label]
            assert not unknown, f"no such {label}: {unknown}"


def check_metrics():
    """Remora's source has every metric that rules and dashboard use, under its exposed name."""
    source = "".join(path.read_text(encoding="utf-8") for path in (DEPLOY.parent / "proxy-server/src").rglob("*.rs"))
    families = set(re.findall(r'"((?:rocketmq|process)_[a-z_]+)"', source))
    known = families | {name + end for name in families for end in ("_total", "_bucket", "_count", "_sum")}
    unknown = {name for text in expressions() for name in METRIC.findall(text)} - known
    assert not unknown, f"no such metrics: {sorted(unknown)}"


def expressions():
    """All expressions of rules and dashboard."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (DEPLOY / "prometheus").glob("*.rules.yaml")]
    texts = [rule["expr"] for file in files for group in file["groups"] for rule in group["rules"]]
    dashboard = json.loads((DEPLOY / "grafana/remora.json").read_text(encoding="utf-8"))
    return texts + [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


if __name__ == "__main__":
    main()

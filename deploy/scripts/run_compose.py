"""Runs the compose file's services without containers: run_compose.py REMORA CLASSPATH, as root.

The commands of all services except Grafana's run as processes with the mounted files, in a network namespace where the services'
names resolve. RocketMQ's load generators send and consume through Remora. The route that `helm test` asks for must contain Remora's
address, and Prometheus must have data for every expression of dashboard and rules."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import yaml

import check_dashboard

DOCKER = pathlib.Path(__file__).resolve().parent.parent / "docker"
INSIDE = "REMORA_COMPOSE_INSIDE"
# RocketMQ's scripts, and the classes that they start.
MAIN = {
    "mqnamesrv": "org.apache.rocketmq.namesrv.NamesrvStartup",
    "mqbroker": "org.apache.rocketmq.broker.BrokerStartup",
    "mqadmin": "org.apache.rocketmq.tools.command.MQAdminStartup",
}
OPENED = ["java.base/java.nio", "java.base/sun.nio.ch"]
# The compose file has no TLS.
WITHOUT_DATA = re.compile("certificate_expiry")
PROMETHEUS = "http://localhost:9090"


class Stack:
    """Processes that are stopped together."""

    def __init__(self, home, remora, class_path):
        self.home, self.remora, self.class_path = home, remora, class_path
        self.processes = {}
        # The last answer to a look-up of a route.
        self.route = ""

    def java(self, *arguments, options=()):
        """A command of Java that writes its files below this stack's folder."""
        opened = [f"--add-{how}={package}=ALL-UNNAMED" for package in OPENED for how in ("opens", "exports")]
        return ["java", *opened, f"-Duser.home={self.home}", *options, "-cp", self.class_path, *arguments]

    def start(self, name, command):
        """Starts a process, whose output is in a file."""
        log = open(self.home / f"{name}.log", "w", encoding="utf-8")
        environment = {**os.environ, "ROCKETMQ_HOME": str(self.home)}
        self.processes[name] = subprocess.Popen(command, cwd=self.home, env=environment, stdout=log, stderr=log)

    def stop(self):
        """Ends all processes, and prints the output of those that had ended before."""
        ended = [name for name, process in self.processes.items() if process.poll() is not None]
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            process.kill()
        for name in ended:
            print(f"{name} ended by itself:\n{(self.home / f'{name}.log').read_text()[-2000:]}", file=sys.stderr)


def main():
    assert os.geteuid() == 0, "run this as root: it makes a network namespace"
    if INSIDE not in os.environ:
        command = ["unshare", "--net", "--mount", sys.executable, *sys.argv]
        sys.exit(subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False).returncode)
    remora, class_path = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))["services"]
    with tempfile.TemporaryDirectory() as directory:
        home = pathlib.Path(directory)
        make_network(services, home)
        stack = Stack(home, remora, class_path)
        try:
            start_all(stack, services)
            check_all(stack)
        finally:
            stack.stop()


def make_network(services, home):
    """Makes the services' names resolve."""
    hosts = home / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {os.uname().nodename} {' '.join(services)}\n", encoding="utf-8")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


def start_all(stack, services):
    """Starts every service except Grafana."""
    mounted = {}
    for service in services.values():
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            mounted[target] = str((DOCKER / source).resolve())
    for name in ("name-server", "broker"):
        _, script, *arguments = services[name]["command"].split()
        options = services[name]["environment"]["JAVA_OPT_EXT"].split()
        arguments = [mounted.get(argument, argument) for argument in arguments]
        stack.start(name, stack.java(MAIN[script], *arguments, options=options))
    stack.start("remora", [stack.remora, *services["remora"]["command"]])
    config = stack.home / "prometheus.yml"
    text = pathlib.Path(mounted["/etc/prometheus/prometheus.yml"]).read_text(encoding="utf-8")
    config.write_text(text.replace("/etc/prometheus/rules", mounted["/etc/prometheus/rules"]), encoding="utf-8")
    storage = f"--storage.tsdb.path={stack.home}/prometheus"
    stack.start("prometheus", ["prometheus", f"--config.file={config}", storage])


def check_all(stack):
    """Checks the route, the messages, and the metrics."""
    wait("route", 120, lambda: route_is_right(stack), lambda: stack.route[-2000:])
    load = "org.apache.rocketmq.example.benchmark"
    for name, arguments in (("Producer", ["-w", "4", "-s", "1024"]), ("Consumer", ["-g", "benchmark_consumer", "-p", "false"])):
        command = [f"{load}.{name}", "-t", "BenchmarkTest", "-n", "localhost:8080", *arguments]
        stack.start(name, stack.java(*command, options=["-Xmx256m"]))
    wait("scrapes under load", 90, lambda: query("min_over_time(rocketmq_proxy_up[1m]) and on() (sum(rate(rocketmq_messages_out_total[1m])) > 0)"))
    expressions = [check_dashboard.put_in(text) for text in check_dashboard.expressions()]
    # The part of an alert before its threshold has data in normal operation.
    expressions = [re.sub(r"\n[<>] .*\s*$", "", text) for text in expressions]
    expressions = [text for text in expressions if not WITHOUT_DATA.search(text)]
    wait("data for every expression", 90, lambda: not [text for text in expressions if not query(text)], lambda: missing(expressions))
    firing = [alert["metric"]["alertname"] for alert in query('ALERTS{alertstate="firing"}')]
    assert not firing, f"alerts fire in normal operation: {firing}"
    for group in ask("/api/v1/rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] == "ok", f"{rule['name']}: {rule.get('lastError')}"
    print(f"compose file as processes: a route, messages, and data for {len(expressions)} expressions")


def route_is_right(stack):
    """Whether a route contains Remora's address: the check of the chart's test."""
    options = ["-Xmx128m"]
    command = stack.java(MAIN["mqadmin"], "topicRoute", "-n", "localhost:8080", "-t", "SELF_TEST_TOPIC", options=options)
    done = subprocess.run(command, cwd=stack.home, capture_output=True, text=True, check=False)
    stack.route = done.stdout + done.stderr
    return "localhost:8080" in done.stdout


def ask(path):
    """The data of Prometheus' answer."""
    with contextlib.suppress(OSError), urllib.request.urlopen(PROMETHEUS + path, timeout=5) as answer:
        return json.load(answer)["data"]
    return {"result": [], "groups": []}


def query(expression):
    """The value of an expression."""
    return ask("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))["result"]


def missing(expressions):
    """The expressions without data."""
    return "\n".join(text for text in expressions if not query(text))


def wait(what, seconds, done, otherwise=lambda: ""):
    """Waits until `done` is true."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"no {what} after {seconds} s\n{otherwise()}"
        time.sleep(1)


if __name__ == "__main__":
    main()

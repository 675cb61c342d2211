"""Starts the chart's container as a process, as Kubernetes would: run_rendered.py REMORA HELM OUT.

Command, variables, user and files are the container's. The probes must succeed. Then the process gets SIGTERM and must end with 0
within its grace period. Two things differ: files of /etc/remora are below a temporary folder, and ports are chosen to be free. The
name server is a fake without brokers."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import manifests

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
CHART = DEPLOY / "helm/remora"
VERSION = "1.37"


class NameServer(socketserver.BaseRequestHandler):
    """Answers every request with success and the list of no brokers."""

    def handle(self):
        with contextlib.suppress(ConnectionError, EOFError):
            while True:
                (length,) = struct.unpack(">i", self.take(4))
                frame = self.take(length)
                (header,) = struct.unpack(">i", frame[:4])
                request = json.loads(frame[4 : 4 + (header & 0xFFFFFF)])
                answer = {"code": 0, "flag": 1, "language": "JAVA", "opaque": request["opaque"], "version": 0}
                head, body = json.dumps(answer).encode(), b'{"brokerAddrTable":{},"clusterAddrTable":{}}'
                self.request.sendall(struct.pack(">ii", 4 + len(head) + len(body), len(head)) + head + body)

    def take(self, length):
        """Reads `length` bytes."""
        taken = b""
        while len(taken) < length:
            more = self.request.recv(length - len(taken))
            if not more:
                raise EOFError
            taken += more
        return taken


class Server(socketserver.ThreadingTCPServer):
    """A server whose threads do not keep the process alive."""

    daemon_threads = True


def main():
    remora, helm, out = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    every_values_file(remora, out)
    with Server(("127.0.0.1", 0), NameServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("minimal", "node-port"):
            with tempfile.TemporaryDirectory() as etc:
                start(remora, render(helm, name, server.server_address[1]), pathlib.Path(etc))
        server.shutdown()


def every_values_file(remora, out):
    """Remora accepts the configuration of every rendered release."""
    files = sorted(path for path in out.glob("*.yaml") if not path.name.endswith(".rules.yaml"))
    assert files, f"nothing rendered in {out}"
    for path in files:
        rendered = manifests.Rendered(path.read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as etc:
            command, environment = prepare(remora, rendered, pathlib.Path(etc))
            done = subprocess.run([*command, "--check-config"], env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"the configuration of {path.name} is refused: {done.stderr}"


def free_ports(number):
    """Free ports."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports


def render(helm, name, name_server):
    """Renders a release with free ports and a short drain."""
    clients, external, admin, first, second = free_ports(5)
    flags = {
        "nameServers": [f"127.0.0.1:{name_server}"],
        "service.port": clients,
        "external.containerPort": external,
        "admin.port": admin,
        "config.drain": {"wait_ms": 1500, "time_ms": 1000, "deadline_ms": 5000},
    }
    if name == "node-port":
        flags["brokers"] = [
            {"name": "broker-a", "port": first, "nodePort": 30910},
            {"name": "broker-b", "port": second, "nodePort": 30920},
        ]
    command = [helm, "template", "test", CHART, "--namespace", "mq", "--kube-version", VERSION]
    command += ["--values", CHART / f"ci/{name}.yaml"]
    command += [part for key, value in flags.items() for part in ("--set-json", f"{key}={json.dumps(value)}")]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    return manifests.Rendered(done.stdout)


def prepare(remora, rendered, etc):
    """Puts files where the container has them, but below `etc`; returns its command and its variables."""
    etc.chmod(0o755)
    pod = rendered.pod["spec"]
    # The image's user may not be allowed to read the build folder.
    binary = etc / "remora"
    shutil.copy(remora, binary)
    config = pathlib.Path(rendered.container["args"][-1])
    moved = {path: etc / path.lstrip("/") for path in [str(config), *manifests.files(rendered.config)]}
    for path in moved.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    make_certificates(list(moved.values()))
    toml = rendered.toml.replace('"/etc/remora/', f'"{etc}/etc/remora/')
    moved[str(config)].write_text(toml, encoding="utf-8")
    arguments = [str(moved.get(argument, argument)) for argument in rendered.container["args"]]
    command = [str(binary), *arguments]
    if os.geteuid() == 0:
        context = pod["securityContext"]
        for path in etc.rglob("*"):
            os.chown(path, context["runAsUser"], context["fsGroup"])
        user = [f"--reuid={context['runAsUser']}", f"--regid={context['runAsGroup']}", "--clear-groups"]
        command = ["setpriv", *user, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", *command]
    environment = {item["name"]: item.get("value", "from-a-secret") for item in rendered.container.get("env", [])}
    return command, {"PATH": os.environ["PATH"], **environment}


def make_certificates(paths):
    """Writes a certificate and its key into each directory that needs them, and some text into the other files."""
    for directory in sorted({path.parent for path in paths}):
        wanted = {path.name for path in paths if path.parent == directory}
        if wanted & {"tls.crt", "ca.crt"}:
            command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=remora"
            command += f" -addext subjectAltName=DNS:mq.example.com -keyout {directory}/tls.key -out {directory}/tls.crt"
            subprocess.run(command.split(), capture_output=True, check=True)
            shutil.copy(directory / "tls.crt", directory / "ca.crt")
        for name in wanted - {"tls.crt", "tls.key", "ca.crt"}:
            (directory / name).write_text("12345678\n", encoding="utf-8")


def start(remora, rendered, etc):
    """Starts the process, asks its probes, and stops it."""
    command, environment = prepare(remora, rendered, etc)
    with open(etc / "log", "w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=environment, cwd="/", stdout=log, stderr=log)
        try:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                wait(rendered, probe, 200, process)
            check_ports(rendered, process.pid)
            check_metrics(rendered)
            check_health(command[:-2], rendered)
            stop(rendered, process)
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read())
            raise
        finally:
            process.kill()
            process.wait()


def ask(rendered, path):
    """Status and body of the admin listener's answer."""
    address = f"http://127.0.0.1:{rendered.ports['admin']}{path}"
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def wait(rendered, probe, status, process):
    """Waits until the probe has this status."""
    get = rendered.container[probe]["httpGet"]
    assert get["port"] == "admin"
    end = time.monotonic() + 10
    while (answer := ask(rendered, get["path"]))[0] != status:
        assert process.poll() is None, "the process has ended"
        assert time.monotonic() < end, f"{probe} is not {status}: {answer}"
        time.sleep(0.05)


def check_ports(rendered, pid):
    """The process listens on every port of the container, and on no other."""
    table = subprocess.run(["ss", "--listening", "--tcp", "--numeric", "--processes"], capture_output=True, text=True, check=True)
    listening = {int(port) for line in table.stdout.splitlines() if f"pid={pid}," in line for port in re.findall(r":(\d+)\s", line)}
    assert listening == set(rendered.ports.values()), f"listens on {listening}, ports are {rendered.ports}"


def check_metrics(rendered):
    """The metrics are served."""
    status, text = ask(rendered, "/metrics")
    assert status == 200 and "\nrocketmq_proxy_up{" in text, f"/metrics: {status} {text}"


def check_health(command, rendered):
    """Runs the command of the image's health check and of `helm test`."""
    for path, code in (("/readyz", 0), ("/nowhere", 1)):
        address = f"http://127.0.0.1:{rendered.ports['admin']}{path}"
        done = subprocess.run([*command, "--health", address], capture_output=True, text=True, check=False)
        assert done.returncode == code, f"--health {address}: {done.returncode} {done.stdout}{done.stderr}"


def stop(rendered, process):
    """On SIGTERM readiness goes down at once, clients are still accepted, and the process ends in time with 0."""
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    wait(rendered, "readinessProbe", 503, process)
    socket.create_connection(("127.0.0.1", rendered.ports["clients"]), timeout=1).close()
    code = process.wait(timeout=rendered.pod["spec"]["terminationGracePeriodSeconds"])
    print(f"rendered container: ready, then ended with {code} {time.monotonic() - started:.1f} s after SIGTERM")
    assert code == 0


if __name__ == "__main__":
    main()

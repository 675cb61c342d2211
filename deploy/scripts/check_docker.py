"""Checks the Dockerfile and the compose file without building an image: check_docker.py COMPOSE REMORA.

Compose's own parser accepts the compose file, every file that it mounts exists, Prometheus' configuration is valid where the
container has it, and Remora accepts its arguments in the compose file and in the image."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
DOCKER = DEPLOY / "docker"


def main():
    compose, remora = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    done = subprocess.run([compose, "compose.yaml"], cwd=DOCKER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == {"name-server", "broker", "remora", "prometheus", "grafana"}
    for name, service in services.items():
        for volume in service.get("volumes", []):
            assert pathlib.Path(volume["source"]).exists(), f"{name} mounts {volume['source']}, which does not exist"
            assert volume["read_only"]
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1", f"{name} can be reached from other machines"

    build = "cargo build --release --locked --package proxy-server --bin remora"
    assert build in (DOCKER / "Dockerfile").read_text(encoding="utf-8"), "the image's binary is not built by this command"
    image = dockerfile()
    assert image["USER"] == "65532:65532"
    assert image["ENTRYPOINT"] == ["/usr/local/bin/remora"]
    assert image["HEALTHCHECK"][0] == image["ENTRYPOINT"][0]
    health = image["HEALTHCHECK"][-1]
    for arguments in (image["CMD"], services["remora"]["command"]):
        admin = arguments[arguments.index("--admin") + 1]
        assert health.split("/")[2].split(":")[1] == admin.split(":")[1], f"the health check asks {health}, the admin listener is at {admin}"
        check_config(remora, arguments)
    check_prometheus(services)
    print("docker: the compose file, what it mounts, and the commands")


def dockerfile():
    """The instructions of the last stage."""
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    last = re.split(r"^FROM ", text, flags=re.MULTILINE)[-1]
    found = {word: rest.strip() for word, rest in re.findall(r"^([A-Z]+) (.*)$", last, re.MULTILINE)}
    found["HEALTHCHECK"] = found["HEALTHCHECK"].split("CMD", 1)[1]
    return {word: json.loads(rest) if rest.strip().startswith("[") else rest for word, rest in found.items()}


def check_config(remora, arguments):
    """Remora accepts these arguments."""
    environment = {"REMORA_NAME_SERVER": "name-server:9876"}
    command = [remora, *arguments, "--check-config"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"


def check_prometheus(services):
    """promtool accepts Prometheus' configuration and rules, laid out as in the container."""
    with tempfile.TemporaryDirectory() as directory:
        for volume in services["prometheus"]["volumes"]:
            at = pathlib.Path(directory + volume["target"])
            at.parent.mkdir(parents=True, exist_ok=True)
            at.symlink_to(volume["source"])
        config = pathlib.Path(directory) / "etc/prometheus/prometheus.yml"
        text = config.read_text(encoding="utf-8").replace("/etc/prometheus", f"{directory}/etc/prometheus")
        config.unlink()
        config.write_text(text, encoding="utf-8")
        done = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("rules found") == 2, f"not all rules were found:\n{done.stdout}"
        jobs = [job["job_name"] for job in yaml.safe_load(text)["scrape_configs"]]
        assert jobs == ["remora"], "the rules select by the job name remora"


if __name__ == "__main__":
    main()

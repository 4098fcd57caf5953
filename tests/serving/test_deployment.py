"""Image and manifests of the service agree with the service, and with each other."""

import re
from pathlib import Path

import pytest
import yaml

from pipelines.commands import serving
from pipelines.serving.app import OPEN

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "serve"


@pytest.fixture(scope="module")
def kinds():
    documents = yaml.safe_load_all((FOLDER / "kubernetes.yml").read_text())
    return {one["kind"]: one for one in documents}


@pytest.fixture(scope="module")
def pod(kinds):
    return kinds["Deployment"]["spec"]["template"]["spec"]


def test_service_scaler_and_budget_mean_the_deployment_s_pods(kinds):
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert kinds["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    scaled = kinds["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert scaled["name"] == kinds["Deployment"]["metadata"]["name"]
    assert kinds["HorizontalPodAutoscaler"]["spec"]["minReplicas"] > 1, "the budget keeps one"


def test_probes_ask_what_answers_without_a_token(pod):
    (container,) = pod["containers"]
    named = {port["name"] for port in container["ports"]}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[name]["httpGet"]
        assert asked["path"] in OPEN
        assert asked["port"] in named
    variables = {one["name"] for one in container["env"]}
    assert serving.TOKEN in variables


def test_a_pod_waits_for_requests_under_way_before_it_is_killed(pod):
    (container,) = pod["containers"]
    (_, seconds) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] > int(seconds) + serving.GRACE_SECONDS


def test_the_image_serves_the_port_and_the_lake_that_the_manifest_has(pod):
    text = (FOLDER / "Dockerfile").read_text()
    (container,) = pod["containers"]
    (port,) = [one["containerPort"] for one in container["ports"]]
    entry = re.search(r"ENTRYPOINT \[(.*)\]", text)[1]
    assert f'"--port", "{port}"' in entry
    assert f"EXPOSE {port}" in text
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert f'"--lake", "{mounts["lake"]}"' in entry
    user = pod["securityContext"]["runAsUser"]
    assert f"USER {user}" in text
    assert f"--uid {user}" in text
    for source in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE):
        for name in source.split():
            assert (FOLDER.parents[1] / name).exists(), name


def test_the_image_s_packages_are_among_the_pinned_ones_and_none_is_spark():
    def names(file):
        lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        return {re.split(r"[=<>]", line)[0].lower().replace("_", "-") for line in lines}

    asked = names(FOLDER / "packages.txt")
    assert asked <= names(FOLDER.parent / "environment" / "ml.txt")
    assert not asked & {"pyspark", "delta-spark", "horovod", "petastorm"}

"""The Kubernetes profile as far as it can be checked without a cluster: its plan, its requests."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT
from tests.workflow.conftest import make_checkout

PLUGINS = ("snakemake-executor-plugin-kubernetes", "snakemake-storage-plugin-fs")
SCHEMAS = "kubernetes-validate==1.37.0"  # what the API of each version takes, as JSON schemas
VERSIONS = ("1.28", "1.37")
PROFILE = ROOT / "workflow/profiles/kubernetes/config.yaml"
# The plugin's own code builds each job; only the call to the cluster is replaced.
MANIFESTS = """
import json, logging, sys
from pathlib import Path
from types import SimpleNamespace
from kubernetes.client import ApiClient
from snakemake_executor_plugin_kubernetes import Executor, PersistentVolume
executor = Executor.__new__(Executor)
sent = []
vars(executor).update(
    run_namespace="run", namespace="default", container_image="image", privileged=False,
    persistent_volumes=[PersistentVolume("ace", Path("/mnt/ace"))], k8s_cpu_scalar=0.95,
    k8s_service_account_name=None, secret_envvars={"key": "ACE_KEY"},
    batchapi=SimpleNamespace(create_namespaced_job=lambda space, body: sent.append(body)),
    workflow=SimpleNamespace(), _logger=logging.getLogger("x"), logger=logging.getLogger("x"),
)
executor.format_job_exec = lambda job: "true"
executor._kubernetes_retry = lambda call: call()
executor.report_job_submission = lambda info: None
for resources in json.loads(sys.argv[1]):
    executor.run_job(
        SimpleNamespace(resources=resources, jobid=1, attempt=1, is_containerized=False)
    )
print(json.dumps(ApiClient().sanitize_for_serialization(sent)))
"""
VALIDATE = """
import json, sys
from kubernetes_validate import validate
for manifest in json.load(sys.stdin):
    for version in sys.argv[1:]:
        validate({"apiVersion": "batch/v1", "kind": "Job", **manifest}, version, strict=True)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The plugins in a folder of their own: nothing else here needs them."""
    folder = tmp_path_factory.mktemp("plugins")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--target", str(folder), "-c", str(ROOT / "requirements.lock"), *PLUGINS, SCHEMAS],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"pip could not install the plugins: {done.stderr.strip().splitlines()[-1]}")
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_it_plans_with_a_volume_that_holds_the_checkout(environment, tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    options = ["--workflow-profile", "workflow/profiles/kubernetes", "--container-image", "image"]
    options += ["--default-storage-prefix", str(checkout.folder)]
    options += ["--kubernetes-persistent-volumes", f"ace:{checkout.folder}"]
    done = subprocess.run(
        checkout.command("--dry-run", *options),
        cwd=checkout.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "train_backbone" in done.stdout + done.stderr


def run_python(environment, code, *arguments, given=None):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def manifests(environment):
    """The job that Kubernetes would be sent for each rule of the profile, and for one more."""
    given = yaml.safe_load(PROFILE.read_text())["set-resources"] | {"preprocess_dataset": {}}
    jobs = [{"mem_mb": 4000, "disk_mb": 1000, "_cores": 2, **each} for each in given.values()]
    code, printed, said = run_python(environment, MANIFESTS, json.dumps(jobs))
    assert code == 0, said
    return dict(zip(given, json.loads(printed.splitlines()[-1]), strict=True))


def container_of(manifest):
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    return container


def test_a_gpu_job_asks_for_a_limit_of_one_gpu_and_another_job_for_none(manifests):
    given = yaml.safe_load(PROFILE.read_text())["set-resources"]
    for rule, manifest in manifests.items():
        asked = container_of(manifest)["resources"]
        assert asked["requests"]["memory"] == "4000M"
        assert asked["requests"]["cpu"] == "1900m"
        # Kubernetes refuses a request for a GPU without the same limit.
        gpus = [asked.get(part, {}).get("nvidia.com/gpu") for part in ("requests", "limits")]
        assert gpus == (["1", "1"] if "gpu" in given.get(rule, {}) else [None, None]), rule


def test_every_job_mounts_the_volume_and_takes_its_keys_from_a_secret(manifests):
    for manifest in manifests.values():
        container = container_of(manifest)
        assert {"name": "ace", "mountPath": "/mnt/ace"} in container["volumeMounts"]
        assert [list(each) for each in container["env"]] == [["name", "valueFrom"]]


def test_the_api_of_kubernetes_takes_every_job(environment, manifests):
    jobs = list(manifests.values())
    code, _, said = run_python(environment, VALIDATE, *VERSIONS, given=json.dumps(jobs))
    assert code == 0, said


def test_a_job_that_the_api_does_not_know_would_be_found(environment, manifests):
    wrong = json.loads(json.dumps(manifests["embed_items"]))
    container_of(wrong)["resources"]["gpu"] = 1
    code, _, said = run_python(environment, VALIDATE, *VERSIONS, given=json.dumps([wrong]))
    assert code == 1
    assert "'gpu' was unexpected" in said

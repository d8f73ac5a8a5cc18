"""A real Slurm on this machine: munge, a controller and two nodes, in one folder, on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

HERE = Path(__file__).parent
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue")
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
NODES = ("n1", "n2")
MORTAL = ("setpriv", "--pdeathsig", "KILL")  # a daemon does not outlive the tests, however they end
PATIENCE_S = 180


def is_installed() -> bool:
    """Whether Slurm's programs are on the path."""
    return all(shutil.which(name) for name in PROGRAMS)


def install() -> str | None:
    """Install Slurm's packages; what hinders it, in a few words, or None."""
    if os.geteuid():
        return "not root, so that Slurm's packages cannot be installed and its nodes not started"
    if is_installed():
        return None
    if not shutil.which("apt-get"):
        return "no Slurm, and no apt-get to install it"
    # RUNLEVEL: the system's own services are not started with it; ours run in a folder.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    options = ["-q", "-y", "--no-install-recommends"]
    for command in (["apt-get", "-q", "update"], ["apt-get", "install", *options, *PACKAGES]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return None if is_installed() else f"apt-get could not install Slurm: {done.stderr.strip()}"


def wait_until(is_so: Callable[[], object], what: str) -> object:
    """Wait for a condition; its first true value."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = is_so()
        if found:
            return found
        time.sleep(0.2)
    raise TimeoutError(f"waited {PATIENCE_S} s in vain: {what}")


class Slurm:
    """A running cluster; every process of it belongs to this object."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.config = base / "slurm.conf"
        self._daemons: dict[str, subprocess.Popen] = {}

    def environment(self) -> dict[str, str]:
        """What a Slurm command or Snakemake needs to find this cluster and no other."""
        config = str(self.config)
        path = f"{HERE / 'shims'}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "SLURM_CONF": config, "ACE_SLURM_CONF": config}

    def start(self) -> None:
        """Start munge, the controller and both nodes, and wait until the nodes are idle."""
        self._write_config()
        self._start_munge()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: self.node_states() == dict.fromkeys(NODES, "idle"), "idle nodes")

    def stop(self) -> None:
        """End every job, then every daemon."""
        with suppress(subprocess.SubprocessError):
            self.run("scancel", "--full", "--user=root")
        for node in NODES:
            self.kill_jobs_of(node)
        for daemon in reversed(self._daemons.values()):
            daemon.terminate()
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(timeout=5)
            daemon.kill()
            daemon.wait()

    def run(self, *command: str) -> str:
        """What a Slurm command prints."""
        return subprocess.run(
            command,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_S,
        ).stdout

    def start_controller(self) -> None:
        """Start slurmctld and wait until it answers."""
        self._start("slurmctld", "slurmctld", "-D", "-f", str(self.config))
        wait_until(self._answers, "an answer of slurmctld")

    def stop_controller(self) -> None:
        """Stop slurmctld as an administrator does: it writes down its jobs first."""
        self._daemons["slurmctld"].terminate()
        self._daemons["slurmctld"].wait()

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        self._start(node, "slurmd", "-D", "-f", str(self.config), "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill a node with -9, together with everything that runs on it."""
        self._kill(node)
        self.kill_jobs_of(node)

    def kill_jobs_of(self, node: str) -> None:
        """Kill every process of every job on a node with -9."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid not in self._pids() and self._node_of(process) == node:
                    process.kill()

    def node_states(self) -> dict[str, str]:
        """The state of each node, e.g. idle or down."""
        lines = self.run("sinfo", "--noheader", "-N", "-o", "%N %T").splitlines()
        return dict(line.split() for line in lines)

    def jobs(self) -> list[dict]:
        """Every job since the start: name of its rule, state, node, GPUs."""
        text = self.run("scontrol", "-o", "show", "jobs")
        rows = [
            dict(part.split("=", 1) for part in line.split(" ") if "=" in part)
            for line in text.splitlines()
        ]
        return [row for row in rows if "JobId" in row]

    def steps(self) -> list[str]:
        """What the running jobs have begun, e.g. 7.0: the first step of job 7."""
        found = self.run("squeue", "--steps", "--noheader", "-o", "%i").split()
        return [step for step in found if step.rpartition(".")[2].isdigit()]

    def _pids(self) -> set[int]:
        return {daemon.pid for daemon in self._daemons.values()}

    def _node_of(self, process: psutil.Process) -> str | None:
        """The node that a process of this cluster's jobs runs on; None for any other process."""
        found = process.environ()
        if found.get("ACE_SLURM_CONF") != str(self.config):
            return None
        # A job's processes have the first name, the slurmstepd that keeps them the second.
        return found.get("SLURMD_NODENAME") or found.get("ACE_SLURM_NODE")

    def _answers(self) -> bool:
        return not subprocess.run(
            ["scontrol", "ping"], env=self.environment(), capture_output=True, check=False
        ).returncode

    def _write_config(self) -> None:
        for name in ("log", "state", "spool"):
            (self.base / name).mkdir()
        port = _free_ports(4)
        text = (HERE / "slurm.conf").read_text()
        for name, value in {
            "base": self.base,
            "host": socket.gethostname().partition(".")[0],
            "port": port,
            "node_port": port + 1,
            "first_port": port + 2,
            "last_port": port + 3,
        }.items():
            text = text.replace(f"{{{name}}}", str(value))
        self.config.write_text(text)
        gpus = [f"NodeName=n[1-2] Name=gpu File=/dev/{name}\n" for name in ("null", "zero")]
        (self.base / "gres.conf").write_text("AutoDetect=off\n" + "".join(gpus))

    def _start_munge(self) -> None:
        key = self.base / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        files = {"key": key.name, "pid": "munge.pid", "log": "log/munge.log", "seed": "munge.seed"}
        options = [f"--{name}-file={self.base / file}" for name, file in files.items()]
        self._start(
            "munged", "munged", "--foreground", f"--socket={self.base / 'munge.socket'}", *options
        )
        wait_until((self.base / "munge.socket").exists, "munge's socket")

    def _start(self, name: str, *command: str) -> None:
        environment = {**self.environment(), "ACE_SLURM_NODE": name}
        with (self.base / "log" / f"{name}.out").open("a") as log:
            self._daemons[name] = subprocess.Popen(
                [*MORTAL, *command], env=environment, stdout=log, stderr=log
            )

    def _kill(self, name: str) -> None:
        self._daemons[name].send_signal(signal.SIGKILL)
        self._daemons[name].wait()


def _free_ports(count: int) -> int:
    """The first of some consecutive ports that nothing listens on now."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        with suppress(OSError, OverflowError):
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first


@contextmanager
def running() -> Iterator[Slurm]:
    """A cluster that runs as long as the block, also where the process is told to end in it."""
    base = Path(tempfile.mkdtemp(prefix="ace-slurm-"))  # short: a socket's path is limited
    base.chmod(0o755)
    cluster = Slurm(base)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        signal.signal(signal.SIGTERM, before)
        shutil.rmtree(base, ignore_errors=True)


def _interrupt(_number: int, _frame: object) -> None:
    """As Ctrl-C does: pytest then ends its fixtures one after the other."""
    raise KeyboardInterrupt

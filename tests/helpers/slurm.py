"""A real Slurm on pretend machines: a controller, and a daemon on each node.

Its programs are those of this machine, or of Debian's packages that `.ci/slurm FOLDER` has unpacked, which
``EMOTUNE_SLURM=FOLDER`` names. Nothing is installed, and no service is started outside of the machines.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

import machines
from machines import Machine, Network, until

__all__ = ["Slurm", "missing"]

PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmstepd", "sbatch", "scontrol", "sinfo", "srun")
PLUGINS = ("usr/lib/*/slurm-wlm", "usr/lib/*/slurm", "usr/lib64/slurm", "usr/lib/slurm")
"""Places of Slurm's plugins and of its own libraries below the root."""
MUNGE = "/run/munge"
CONFIG = """
ClusterName=pretended
SlurmctldHost={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=/run/munge/socket,cred_expire=5
PluginDir={plugins}
StateSaveLocation=/run/slurm-state
SlurmdSpoolDir=/run/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldParameters=preempt_send_user_signal
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=10
MinJobAge=3600
ReturnToService=2
MpiDefault=none
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=60 PriorityTier=1 GraceTime=120
PartitionName=urgent Nodes=ALL MaxTime=60 PriorityTier=10
"""
"""A job that goes back into the queue may start once its credentials have expired: in five seconds, not two minutes."""


def missing() -> str:
    """The reason why there can be no Slurm here; empty if there can be one."""
    if reason := machines.missing():
        return reason
    lacking = [name for name in PROGRAMS if not _program(_root(), name)]
    remedy = ".ci/slurm FOLDER unpacks Debian's packages; then set EMOTUNE_SLURM=FOLDER"
    return f"needs {', '.join(lacking)} of Slurm ({remedy})" if lacking else ""


class Slurm:
    """Nodes with one CPU each, of which the first is the controller, too; a context manager that ends them all.

    There are two partitions: jobs in *urgent* preempt those in *main*, the default.

    Args:
        folder: A folder for its files, which is made; all nodes see it under this name, like a shared disk.
        nodes: The number of nodes.
    """

    def __init__(self, folder: Path, nodes: int = 2) -> None:
        self.folder = folder
        self._addresses = {f"node{number}": f"10.77.0.{number}" for number in range(1, nodes + 1)}
        # The machines have a /tmp and a home folder of their own, and may not see the unpacked packages.
        self._root = _root() if _root() == Path("/") else folder / "root"
        self._network = Network(folder, self._environment())
        self._daemons = list[subprocess.Popen[str]]()

    def __enter__(self) -> Self:
        self._network.__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._network.__exit__(*error)
        for daemon in self._daemons:
            daemon.wait(20)

    @property
    def nodes(self) -> list[Machine]:
        """The nodes; the first is the controller, too."""
        return self._network.machines

    def run(self, *command: str, **environment: str) -> str:
        """Runs a command, which must succeed, on the controller in the shared folder; returns its output."""
        return self.nodes[0].run("env", f"--chdir={self.folder}", *_pairs(environment), *command)

    def job(self, number: str) -> dict[str, str]:
        """What Slurm says about a job, or about a task of an array, ``<job>_<task>``."""
        job, _, task = number.partition("_")
        wanted = {"ArrayJobId": job, "ArrayTaskId": task} if task else {"JobId": job}
        lines = self.run("scontrol", "show", "job", "--oneliner", job).splitlines()  # of all tasks of an array
        found = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
        return next(one for one in found if wanted.items() <= one.items())

    def said(self) -> str:
        """The end of each daemon's log."""
        return "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.daemon")))

    def _environment(self) -> dict[str, str]:
        """What Slurm's programs and their libraries need to find each other."""
        found = {"SLURM_CONF": f"{self.folder}/slurm.conf"}
        if self._root == Path("/"):
            return found
        plugins = self.folder / "root" / _plugins(_root()).relative_to(_root())
        tools = [f"{self._root}/usr/bin", f"{self._root}/usr/sbin"]
        return found | {
            "PATH": os.pathsep.join([machines.path(), *tools]),
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, (plugins.parent, plugins))),
        }

    def _start(self) -> None:
        if self._root != Path("/"):
            shutil.copytree(_root(), self._root, symlinks=True)
        (controller, address), *_ = self._addresses.items()
        lines = [f"NodeName={name} NodeAddr={ip} CPUs=1" for name, ip in self._addresses.items()]
        config = CONFIG.format(
            controller=f"{controller}({address})", plugins=_plugins(self._root), nodes="\n".join(lines)
        )
        (self.folder / "slurm.conf").write_text(config)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        for name, ip in self._addresses.items():
            node = self._network.add(name, ip)
            node.run("mkdir", "-m", "755", MUNGE)
            places = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
            options = [f"--{option}={MUNGE}/{file}" for option, file in places.items()]
            self._daemon(node, "munged", "--force", "--foreground", f"--key-file={key}", *options)
            until(f"munge on {name}", lambda node=node: "socket" in node.run("ls", MUNGE).split(), 20, self.said)
        self._daemon(self.nodes[0], "slurmctld", "-D")
        for node in self.nodes:
            self._daemon(node, "slurmd", "-D", "-N", node.name, "-d", str(_program(self._root, "slurmstepd")))
        idle = {(name, "idle") for name in self._addresses}
        until("idle nodes", lambda: self._states() == idle, 30, self.said, every_s=0.5)

    def _states(self) -> set[tuple[str, ...]]:
        asked = self.nodes[0].start(
            "sinfo", "--noheader", "--Node", "--format=%N %T", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return {tuple(line.split()) for line in asked.communicate(timeout=60)[0].splitlines()}

    def _daemon(self, node: Machine, program: str, *arguments: str) -> None:
        with (self.folder / f"{program}-{node.name}.daemon").open("w") as log:
            command = (str(_program(self._root, program)), *arguments)
            self._daemons.append(node.start(*command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))


def _root() -> Path:
    """The folder below which Slurm is installed."""
    return Path(os.environ.get("EMOTUNE_SLURM") or "/").absolute()


def _program(root: Path, name: str) -> Path | None:
    """The path of a program, which Debian calls ``…-wlm`` before it installs a link."""
    places = [root / "usr" / folder / f"{name}{suffix}" for folder in ("sbin", "bin") for suffix in ("", "-wlm")]
    return next((place for place in places if place.exists()), None)


def _plugins(root: Path) -> Path:
    return next(place for pattern in PLUGINS for place in sorted(root.glob(pattern)))


def _pairs(environment: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in environment.items()]

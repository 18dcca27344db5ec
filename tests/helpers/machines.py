"""Pretend machines: processes in namespaces of their own, in one isolated network, reached through sshd.

Each has its own processes, host name, ``/tmp``, home folder and ``/dev/shm``; the rest of the disk is this machine's,
as on machines that were installed alike. Nothing is mounted, named or routed outside of the namespaces, which are gone
with their first process, and that goes when whoever started it does.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["CHECKOUT", "HOME", "Machine", "Network", "missing", "path", "running", "until"]

CHECKOUT = Path(__file__).parents[2]
GATEWAY = "10.77.0.254"
"""Address of a gateway that leads nowhere; a machine needs one to find its own address."""
TOOLS = ("ip", "nsenter", "rsync", "setpriv", "ssh", "sshd", "unshare")
DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
HOME = "/root"
PATIENCE = 3
"""Factor by which a busy machine may be slower than a quiet one."""
SSHD = """
HostKey {folder}/host_key
AuthorizedKeysFile {key}.pub
PermitRootLogin yes
StrictModes no
UsePAM no
UseDNS no
PidFile none
LogLevel ERROR
"""
INIT = """
set -e
mount --make-rprivate /
mount -t tmpfs none /mnt
for kept in {kept}; do mkdir -p "/mnt$kept"; mount --rbind "$kept" "/mnt$kept"; done
mkdir -p /mnt/tmp /mnt{home}; chmod 1777 /mnt/tmp
mount --rbind /mnt/tmp /tmp; mount --rbind /mnt{home} {home}
mount -t tmpfs none /dev/shm; mount -t tmpfs none /run; mkdir /run/sshd
mount --bind {folder}/hosts /etc/hosts; mount --bind {folder}/resolv.conf /etc/resolv.conf
hostname {name}
ip link set lo up
until ip link show eth0 > /dev/null 2>&1; do sleep 0.05; done
ip address add {address}/24 dev eth0; ip link set eth0 up; ip route add default via {gateway}
cd {home}
{sshd} -D -f {folder}/sshd_config &
wait
"""  # bash is the machine's first process, and takes care of those that lose their parent


def missing() -> str:
    """The reason why pretend machines are impossible here; empty if they are possible."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "pretend machines need Linux and root"
    lacking = [tool for tool in TOOLS if not _where(tool)]
    if lacking:
        return f"needs {', '.join(lacking)} (Debian: openssh-server, openssh-client, iproute2, rsync)"
    tried = subprocess.run(
        ["unshare", "--net", "--pid", "--mount", "--uts", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return f"needs namespaces: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass
class Machine:
    """A pretend machine."""

    name: str
    address: str
    log: Path
    """The log of its sshd."""
    _process: subprocess.Popen[bytes] = field(repr=False)
    _environment: dict[str, str] = field(repr=False)

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Starts a command on the machine, in its home folder."""
        environment = {"HOME": HOME, "PATH": path(), "LANG": "C.UTF-8", "TERM": "xterm"} | self._environment
        inside = ["nsenter", f"--target={self.init}", "--net", "--pid", "--mount", "--uts", f"--wdns={HOME}", "--"]
        return subprocess.Popen([*inside, *DIES_WITH_PARENT, *command], env=environment, text=True, **options)

    def run(self, *command: str, timeout: float = 120) -> str:
        """Runs a command, which must succeed; returns its output."""
        process = self.start(*command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            said, _ = process.communicate(timeout=PATIENCE * timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            raise AssertionError(f"{shlex.join(command)} took longer than {PATIENCE * timeout} s:\n{said}") from None
        assert process.returncode == 0, f"{shlex.join(command)}: exit code {process.returncode}\n{said}"
        return said

    def processes(self) -> dict[int, str]:
        """The command lines of its processes by their pids on the real machine; empty once it is killed."""
        found = {}
        with contextlib.suppress(OSError):
            its = Path(f"/proc/{self._process.pid}/ns/pid_for_children").readlink()
            for entry in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if (entry / "ns" / "pid").readlink() == its:
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def kill(self) -> None:
        """Kills the machine at once, as if its power failed."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, AssertionError):
                os.kill(self.init, signal.SIGKILL)  # the kernel ends all others first
            self._process.wait(20)

    @property
    def init(self) -> int:
        """The pid on the real machine of the first process in its namespaces."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return int(until(f"first process of {self.name}", lambda: children.read_text().split(), 10)[0])


class Network:
    """A network of machines; a context manager that ends them all.

    Args:
        folder: A folder for its files, which is made; all its machines see it under this name, like a shared disk.
        environment: The environment variables of commands that `Machine.start` starts.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder, self.key, self.machines = folder, folder / "key", list[Machine]()
        self._environment = dict(environment or {})

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        _make_key(self.key)
        self._switch = subprocess.Popen([*DIES_WITH_PARENT, "unshare", "--net", "sleep", "infinity"])
        own, its = Path("/proc/self/ns/net").readlink(), Path(f"/proc/{self._switch.pid}/ns/net")
        until("network", lambda: its.readlink() != own, 10)
        for command in ("link add br0 type bridge", f"address add {GATEWAY}/24 dev br0", "link set br0 up"):
            self._inside("ip", *command.split())
        # So that it says at once that there is no way out, instead of nothing.
        self._inside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self.machines:
            machine.kill()
        self._switch.kill()
        self._switch.wait(10)

    def add(self, name: str, address: str) -> Machine:
        """Starts a machine; one that was killed starts again empty."""
        folder = self.folder / f"machine-{len(self.machines)}"
        folder.mkdir()
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{address} {name}\n")
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")  # nobody there: refused at once
        (folder / "sshd_config").write_text(SSHD.format(folder=folder, key=self.key))
        _make_key(folder / "host_key")
        script = INIT.format(
            folder=folder, name=name, address=address, gateway=GATEWAY, home=HOME, sshd=_where("sshd"),
            kept=shlex.join(_kept(self.folder)),
        )  # fmt: skip
        namespaces = ["unshare", "--net", "--pid", "--mount", "--uts", "--mount-proc", "--fork", "--kill-child"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*DIES_WITH_PARENT, *namespaces, "bash", "-c", script],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"HOME": HOME, "PATH": _path()},
            )  # fmt: skip
        machine = Machine(name, address, folder / "log", process, self._environment)
        self.machines.append(machine)
        port = f"port{len(self.machines)}"
        self._inside("ip", *f"link add {port} type veth peer name eth0 netns {machine.init}".split())
        self._inside("ip", *f"link set {port} master br0 up".split())

        def listens() -> bool:
            assert process.poll() is None, machine.log.read_text()
            return any(line.startswith("sshd:") for line in machine.processes().values())

        until(f"sshd of {name}", listens, 20)
        return machine

    def _inside(self, *command: str) -> None:
        inside = ["nsenter", f"--target={self._switch.pid}", "--net", "--"]
        subprocess.run([*inside, *command], check=True, env={"PATH": _path()})


@contextlib.contextmanager
def running(machine: Machine, *command: str, log: Path) -> Iterator[subprocess.Popen[str]]:
    """A block during which a command runs on a machine; at its end it gets Ctrl-C."""
    with log.open("w") as file:
        process = machine.start(*command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)


def until(
    what: str, found: Callable[[], Any], seconds: float, said: Callable[[], str] = str, *, every_s: float = 0.1
) -> Any:
    """Waits until a condition is true; returns its value. One that starts a program is better not asked too often."""
    deadline = time.monotonic() + PATIENCE * seconds
    while not (result := found()):
        assert time.monotonic() < deadline, f"{what}: not seen in {PATIENCE * seconds} s\n{said()}"
        time.sleep(every_s)
    return result


def path() -> str:
    """The PATH on machines: this environment, and what is on the PATH here."""
    return f"{sys.prefix}/bin:{_path()}"


def _kept(shared: Path) -> list[str]:
    """The folders below ``/tmp`` or the home folder that all machines need: Python, the code, the shared folder."""
    places = {Path(place).resolve() for place in (sys.prefix, sys.base_prefix, CHECKOUT, shared)}
    return sorted(str(place) for place in places if place.is_relative_to("/tmp") or place.is_relative_to(HOME))


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def _where(tool: str) -> str | None:
    return shutil.which(tool, path=_path())


def _path() -> str:
    """The PATH with the folders of tools for root."""
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"

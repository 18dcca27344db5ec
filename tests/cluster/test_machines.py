"""The pretend machines are isolated from each other, from this machine and from the world, and leave nothing behind."""

import subprocess
from pathlib import Path

import pytest
from machines import HOME, Network, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


def links_and_mounts() -> tuple[str, str]:
    links = subprocess.run(["ip", "-oneline", "link"], capture_output=True, text=True, check=True).stdout
    return links, Path("/proc/self/mountinfo").read_text()


def test_a_machine_is_reached_by_ssh_shares_only_the_folder_and_is_gone_afterwards(tmp_path: Path):
    before = links_and_mounts()
    with Network(tmp_path / "network") as network:
        one, two = network.add("one", "10.77.0.1"), network.add("two", "10.77.0.2")
        ssh = ["ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
               "-i", str(network.key), "root@10.77.0.2"]  # fmt: skip
        assert one.run(*ssh, "hostname; touch /tmp/its ~/its /dev/shm/its").split() == ["two"]
        for folder in ("/tmp", HOME, "/dev/shm"):
            assert "its" in two.run("ls", folder).split()
        assert "its" not in one.run("ls", "/tmp", HOME, "/dev/shm").split()
        assert not Path("/tmp/its").exists()
        assert str(network.key) in two.run("ls", str(network.key))
        assert len(one.run("ps", "-e", "--no-headers").splitlines()) < 8, "no process of others"
        outwards = one.start("bash", "-c", "exec 3<> /dev/tcp/192.0.2.1/80", stderr=subprocess.PIPE)
        assert "unreachable" in outwards.communicate(timeout=10)[1]
        processes = [*one.processes(), *two.processes()]
        two.kill()
        assert two.processes() == {}
        assert one.run("hostname").strip() == "one"
    assert links_and_mounts() == before
    assert not any(Path(f"/proc/{process}").exists() for process in processes)

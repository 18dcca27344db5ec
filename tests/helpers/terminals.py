"""Real terminals of any width, in which tests start a command and read what it shows."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SILENT = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "CI", "SSH_TTY", "SSH_CONNECTION", "TERM_PROGRAM",
          "VTE_VERSION", "TTY_INTERACTIVE", "TTY_COMPATIBLE")  # fmt: skip
TERM = "xterm-256color"


def environment(**variables: str) -> dict[str, str]:
    """The environment of this process without what it says about its own terminal, and with other variables."""
    return {name: value for name, value in os.environ.items() if name not in SILENT} | {"TERM": TERM} | variables


def in_terminal(
    command: Sequence[str], folder: Path, columns: int, typed: Sequence[str] = (), timeout_s: float = 240.0,
    variables: Mapping[str, str] | None = None,
) -> tuple[int, str]:  # fmt: skip
    """The exit code of a command, and everything that it wrote to a terminal.

    Args:
        command: The command.
        folder: Its working directory.
        columns: The width of the terminal.
        typed: A line that the user types at each question, which ends with "[y/N] ".
        timeout_s: The seconds after which it is killed.
        variables: Further environment variables.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(command, cwd=folder, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                               env=environment(**variables or {}))  # fmt: skip
    os.close(slave)
    shown, answers, ends_at = b"", list(typed), time.monotonic() + timeout_s
    try:
        while time.monotonic() < ends_at:
            if not select.select([master], [], [], 0.5)[0]:
                continue
            try:
                shown += os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if answers and shown.endswith(b"[y/N] "):
                os.write(master, f"{answers.pop(0)}\n".encode())
        else:
            process.kill()
        return process.wait(30), shown.decode().replace("\r\n", "\n")
    finally:
        os.close(master)

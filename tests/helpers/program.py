"""The program that pip makes of `project.scripts`, for tests that start it as a user does."""

import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def console_script(folder: Path) -> Path:
    """The program, written to a folder in pip's words: a test must not depend on what is installed."""
    module, function = tomllib.loads(PROJECT.read_text())["project"]["scripts"]["emotune"].split(":")
    script = folder / "emotune"
    start = f'if __name__ == "__main__":\n    sys.exit({function}())\n'
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\n\n{start}")
    script.chmod(0o755)
    return script

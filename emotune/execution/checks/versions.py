"""The versions of the software that a result may depend on."""

__all__ = ["versions"]


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that train, and a digest of emotune's source files, by name.

    The digest is there because code may change without its version. The function refers to nothing outside of itself:
    its code is sent to other machines, which may have no emotune or another one.
    """
    import hashlib
    import importlib.metadata
    import importlib.util
    import platform
    from pathlib import Path

    found = {"python": platform.python_version()}
    for name in ("torch", "ray", "emotune"):
        try:  # the build's suffix, "+cu130" for example, does not make another version
            found[name] = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    package = importlib.util.find_spec("emotune")
    digest = hashlib.sha256()
    for folder in package.submodule_search_locations or () if package else ():
        for path in sorted(Path(folder).rglob("*.py")):
            digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return found | {"source files of emotune": digest.hexdigest()[:12] if package else "not installed"}

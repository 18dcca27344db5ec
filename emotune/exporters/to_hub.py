"""A folder for a model repository on the Hugging Face Hub: card, weights and files of every run; and its upload.

The folder has all that is uploaded, and nothing else is: look at it before. It has no photographs, unless a report with
thumbnails is allowed.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

from emotune.core.errors import InputError, UnavailableError
from emotune.core.storage import Folder
from emotune.exporters.content import RunContent, StudyContent
from emotune.exporters.destination import installed, masked, one_writer
from emotune.exporters.files import write_files
from emotune.exporters.hub_card import model_card

__all__ = ["HubDestination"]

LEDGER, CARD, RUNS, REPORT = ".emotune-export.json", "README.md", "runs", "report"
"""Names in the folder; the ledger is not uploaded."""


class Ledger(TypedDict):
    """The content of the folder: the study's name, the fingerprint of each whole run, and the study's own files."""

    study: str
    runs: dict[str, str]
    files: list[str]


class HubDestination:
    """The folder of a model repository.

    Args:
        study: The study's name.
        folder: The folder.
        repo: The repository, ``user/name``; None: none.
        licence: The licence of the weights; None: that of emotune for synthetic images, else *other*.
        public: Whether a repository that is made is public.
        upload: Whether the folder is uploaded to the repository.

    Raises:
        InputError: huggingface_hub is not installed, the folder is a URL or has other files, or the repository's name
            is invalid.
    """

    def __init__(
        self, study: str, folder: str, repo: str | None, licence: str | None, *, public: bool, upload: bool
    ) -> None:
        if "://" in folder:
            raise InputError(f"--out {folder}: is a URL; give a folder of this machine")
        self._hub = installed("huggingface_hub", "hub")
        self._study, self._folder, self._repo, self._licence = study, Path(folder), repo, licence
        self._public, self._uploads, self._stack = public, upload and repo is not None, contextlib.ExitStack()
        self._ledger: Ledger = {"study": study, "runs": {}, "files": []}
        try:
            if repo is not None:
                installed("huggingface_hub.utils", "hub").validate_repo_id(repo)
        except ValueError as error:
            raise InputError(f"--repo-id {repo}: {masked(error)}") from None

    def __enter__(self) -> "HubDestination":
        with self._stack:
            self._stack.enter_context(one_writer(str(self._folder.absolute())))
            there = Folder(str(self._folder))
            there.require_writable()
            found = there.read_json(LEDGER)
            if found is None and there.names():
                raise InputError(f"--out {self._folder}: has files of another origin; name an empty or a new folder")
            if found is not None and found.get("study") != self._study:
                raise InputError(f"--out {self._folder}: has the study {found.get('study')}; name another folder")
            self._ledger = found or self._ledger
            self._folder.mkdir(parents=True, exist_ok=True)
            self._save()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fingerprints(self) -> Mapping[str, str]:
        """The fingerprints of the runs that the folder has, by run id."""
        return {
            run_id: value for run_id, value in self._ledger["runs"].items() if (self._folder / RUNS / run_id).is_dir()
        }

    def write_run(self, run: RunContent) -> str:
        """Writes the files of a run, in the place of an earlier version."""
        if self._ledger["runs"].pop(run.id, None) is not None:
            self._save()
        folder = self._folder / RUNS / run.id
        shutil.rmtree(folder, ignore_errors=True)
        write_files(folder, run.files)
        self._ledger["runs"][run.id] = run.fingerprint
        self._save()
        return ""

    def write_study(self, study: StudyContent) -> list[str]:
        """Writes card, study and report, removes what no longer belongs there, and uploads the folder."""
        done = {run.id for run in study.runs}
        for run_id in [one for one in self._ledger["runs"] if one not in done]:
            shutil.rmtree(self._folder / RUNS / run_id, ignore_errors=True)
            del self._ledger["runs"][run_id]
        for name in {*self._ledger["files"]} - {CARD, *(file.name for file in study.files)}:
            (self._folder / name).unlink(missing_ok=True)
        self._ledger["files"] = [CARD, *(file.name for file in study.files)]
        self._save()
        write_files(self._folder, study.files)
        repo = self._repo or f"USER/{study.name}"
        Folder(str(self._folder)).write(CARD, model_card(study, self._hub, self._licence, repo).encode())
        sizes = {path.relative_to(self._folder).as_posix(): path.stat().st_size for path in self._sent()}
        lines = [f"{name} ({size:,} bytes)" for name, size in sizes.items()]
        total = f"{len(sizes)} files, {sum(sizes.values()):,} bytes"
        if not self._uploads:
            how = (
                "the same command without --dry-run uploads them" if self._repo else "--repo-id USER/NAME uploads them"
            )
            return [*lines, f"hub: {total} in {self._folder} for {repo}; nothing was uploaded ({how})"]
        self._upload(f"{len(study.runs)} runs of {study.name}")
        return [f"hub: {total} of {self._folder} in {self._repo}"]

    def _sent(self) -> Iterator[Path]:
        """The files that are uploaded: those that an export wrote, whatever else lies in the folder."""
        own = [self._folder / name for name in self._ledger["files"]]
        runs = [path for run_id in self._ledger["runs"] for path in (self._folder / RUNS / run_id).iterdir()]
        return iter(sorted(own + runs))

    def _upload(self, message: str) -> None:
        """Uploads the folder in one commit; files of earlier exports that are no longer in it are removed.

        Raises:
            UnavailableError: the hub cannot be reached.
            InputError: it does not permit it.
        """
        names = [path.relative_to(self._folder).as_posix() for path in self._sent()]
        try:
            api: Any = self._hub.HfApi(library_name="emotune")
            api.create_repo(self._repo, private=not self._public, exist_ok=True)
            api.upload_folder(
                repo_id=self._repo, folder_path=str(self._folder), commit_message=message, allow_patterns=names,
                delete_patterns=[f"{RUNS}/*", f"{REPORT}/*"],
            )  # fmt: skip
        except Exception as error:  # of several libraries
            status = getattr(getattr(error, "response", None), "status_code", None)
            advice = "log in (hf auth login, or HF_TOKEN) as a user who may write there" if status in (401, 403) else ""
            kind = InputError if status is not None and 400 <= status < 500 else UnavailableError
            said = f"{self._repo}: the hub has not taken it ({masked(error)})"
            raise kind(f"{said}; {advice or 'all files are in'} {'' if advice else self._folder}".rstrip()) from None

    def _save(self) -> None:
        Folder(str(self._folder)).write_json(LEDGER, self._ledger)

"""What lets a desktop know .cray files, and a list of what was written, by which it can be taken away again.

Shared MIME info as freedesktop.org has it, a thumbnailer as file managers of GNOME, Xfce and others read it,
file(1)'s magic, completion for shells, a manual page.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from crayoncodec.errors import CrayError, one_line
from crayoncodec.files.atomic import atomic_write
from crayoncodec.format.container import MAGIC, MIME_TYPE

_SIGNATURE: Final = "".join(f"\\x{byte:02x}" for byte in MAGIC)
_MIME_INFO: Final = f"""<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{MIME_TYPE}">
    <comment>cray picture</comment>
    <generic-icon name="image-x-generic"/>
    <magic>
      <match type="string" offset="0" value="{_SIGNATURE}"/>
    </magic>
    <glob pattern="*.cray"/>
  </mime-type>
</mime-info>
"""
_FILE_MAGIC: Final = f"""# cray picture: its chunk HEAD says version, width and height
0	string	{_SIGNATURE}	cray picture
!:mime	{MIME_TYPE}
!:ext	cray
>12	string	HEAD
>>16	ubyte	x	\\b, version %u
>>17	ubyte	x	\\b.%u
>>18	ubelong	x	\\b, %u x
>>22	ubelong	x	%u
"""


def files(share: Path, magic: Path | None, manual: str, completions: Mapping[str, str]) -> dict[Path, str]:
    """What is installed below a folder share -> its text.

    magic: where file(1) looks for it, too. completions: of bash, zsh and fish.
    """
    found = {
        share / "mime/packages/crayoncodec.xml": _MIME_INFO,
        share / "thumbnailers/crayoncodec.thumbnailer": _thumbnailer(),
        share / "crayoncodec/magic": _FILE_MAGIC,
        share / "bash-completion/completions/cray": completions["bash"],
        share / "zsh/site-functions/_cray": completions["zsh"],
        share / "fish/vendor_completions.d/cray.fish": completions["fish"],
        share / "man/man1/cray.1": manual,
    }
    return found if magic is None else found | {magic: _FILE_MAGIC}


def install(share: Path, texts: Mapping[Path, str]) -> Iterator[tuple[Path, str | None]]:
    """Write files, and give each that is new or was outdated, or why it could not be written.

    A file that is there and was not written by this stays as it is. Raises CrayError for a damaged list.
    """
    record = _Record(share)
    for path, text in texts.items():
        data = text.encode()
        try:
            if not record.owns(path) and os.path.lexists(path):
                if path.is_symlink() or path.read_bytes() != data:
                    yield path, "it is there, and not from cray desktop install: left as it is"
                continue
            if path.exists() and path.read_bytes() == data:
                continue
            record.make_folder(path.parent)
            with atomic_write(path) as stream:
                stream.write(data)
            record.add(path, data)
        except OSError as error:
            yield path, one_line(error)
        else:
            yield path, None
    if (problem := _update_mime_database(share)) is not None:
        yield share / "mime", problem


def remove(share: Path) -> Iterator[tuple[Path, str | None]]:
    """Remove what ``install`` wrote and nothing else, and give each file, or why it is left.

    Raises CrayError for a damaged list.
    """
    record = _Record(share)
    if not record.files:
        return
    for path in [*record.files]:
        problem = None
        try:
            if record.owns(path):
                path.unlink()
            elif os.path.lexists(path):
                problem = "it was changed since: left as it is"
            record.drop(path)
        except OSError as error:
            problem = one_line(error)
        yield path, problem
    mime = share / "mime"
    if mime in record.folders and not any((mime / "packages").glob("*")):
        shutil.rmtree(mime, ignore_errors=True)  # the database of our type alone
    else:
        _update_mime_database(share)
    record.finish()


class _Record:
    """What was written, so that nothing else is ever replaced or removed."""

    def __init__(self, share: Path) -> None:
        self.path = share / "crayoncodec/desktop.json"
        self.files: dict[Path, str] = {}
        """And the SHA-256 of what was written."""
        self.folders: list[Path] = []
        """Those that were made for them, inner ones first."""
        if self.path.is_file():
            try:
                found = json.loads(self.path.read_bytes())
                self.files = {Path(path): str(digest) for path, digest in found["files"].items()}
                self.folders = [*map(Path, found["folders"])]
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise CrayError(f"{self.path} is not the list that cray desktop install writes") from error

    def owns(self, path: Path) -> bool:
        """Whether a file is there as it was written."""
        return path.is_file() and not path.is_symlink() and self.files.get(path) == _digest(path.read_bytes())

    def make_folder(self, folder: Path) -> None:
        """Make a folder, and those that it is in."""
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self.folders = missing + self.folders

    def add(self, path: Path, data: bytes) -> None:
        """Note a file that was written."""
        self.files[path] = _digest(data)
        self.make_folder(self.path.parent)
        text = {"files": {str(path): digest for path, digest in self.files.items()}}
        with atomic_write(self.path) as stream:
            stream.write(json.dumps(text | {"folders": [*map(str, self.folders)]}, indent=1).encode())

    def drop(self, path: Path) -> None:
        """Forget a file."""
        del self.files[path]

    def finish(self) -> None:
        """Remove the list, if nothing is left on it, and the folders that are empty again."""
        if self.files:
            return
        self.path.unlink()
        for folder in self.folders:
            with suppress(OSError):  # others have files there
                folder.rmdir()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _update_mime_database(share: Path) -> str | None:
    """Have the system take in what is below share/mime; why it could not, if so."""
    program = shutil.which("update-mime-database")
    if program is None:
        return "update-mime-database is not installed, expected the package shared-mime-info"
    done = subprocess.run([program, share / "mime"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    return " ".join(done.stderr.split()) or f"update-mime-database ended with {done.returncode}"


def _thumbnailer() -> str:
    """Runs this interpreter, as those that ask for thumbnails have a PATH of their own.

    With -P, as the folder that they are in, which may be one of pictures, is no place to import from.
    """
    command = shlex.join([sys.executable, "-P", "-m", "crayoncodec", "thumbnail"]).replace("%", "%%")
    return f"[Thumbnailer Entry]\nTryExec={sys.executable}\nExec={command} %i %o %s\nMimeType={MIME_TYPE};\n"

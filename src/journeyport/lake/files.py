"""Files of the lake: where they are, and how they are replaced without a torn state.

Local folders and object stores alike, through pyarrow's filesystems. What is written,
and under which names, is said by the rest of the package.
"""

import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from pyarrow import fs

from journeyport.errors import SettingsError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileInfo:
    """A written file.

    Attributes:
        path: relative to the lake's root.
        rows: rows in it.
        bytes: its size.
        sha256: of its bytes, hexadecimal.
        changed: the file was not there before, or had other content.
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    changed: bool = True


class Files:
    """A folder or a prefix of an object store.

    Args:
        url_or_path: a path, or a URL that pyarrow knows: file, s3, gs, abfs, hdfs.

    Raises:
        SettingsError: the URL's scheme is unknown.
    """

    def __init__(self, url_or_path: str | Path) -> None:
        text = str(url_or_path)
        if "://" in text:
            try:
                self.filesystem, self.root = fs.FileSystem.from_uri(text)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
                raise SettingsError(
                    "JOURNEYPORT_LAKE_URL is no lake; a folder, file://… and s3://… "
                    "are."
                ) from error
        else:
            self.filesystem, self.root = (
                fs.LocalFileSystem(),
                str(Path(text).absolute()),
            )
        self.root = self.root.rstrip("/")
        self.is_local = isinstance(self.filesystem, fs.LocalFileSystem)
        self.url = self.root if self.is_local else text.partition("?")[0].rstrip("/")

    def place(self, path: str) -> str:
        """The path as the filesystem takes it."""
        return f"{self.root}/{path}"

    def address(self, path: str) -> str:
        """The path as other programs take it: absolute, or a URL."""
        return f"{self.url}/{path}"

    def exists(self, path: str) -> bool:
        """Whether there is a file of that path."""
        info = self.filesystem.get_file_info(self.place(path))
        return bool(info.type == fs.FileType.File)

    def names(self, folder: str) -> list[str]:
        """Names directly in a folder, sorted; none when it is not there."""
        return sorted(info.base_name for info in self._infos(folder))

    def size(self, path: str) -> int:
        """A file's size in bytes; -1 when it is not there."""
        info = self.filesystem.get_file_info(self.place(path))
        return int(info.size) if info.type == fs.FileType.File else -1

    def read(self, path: str) -> bytes:
        """A file's bytes.

        Raises:
            FileNotFoundError: there is no such file.
        """
        with self.filesystem.open_input_stream(self.place(path)) as stream:
            return bytes(stream.read())

    def sha256(self, path: str) -> str:
        """SHA-256 of a file's bytes, hexadecimal."""
        digest = hashlib.sha256()
        with self.filesystem.open_input_stream(self.place(path)) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def write(self, path: str, content: bytes) -> bool:
        """Replace a file at once; False, and untouched, when it has that content."""
        if self.size(path) == len(content) and self.read(path) == content:
            return False
        with self.draft(path) as draft:
            draft.stream.write(content)
            draft.keep()
        return True

    def delete(self, path: str) -> None:
        """Remove a file; nothing happens when it is not there."""
        if self.exists(path):
            self.filesystem.delete_file(self.place(path))

    def sweep(self, folder: str) -> None:
        """Remove the drafts of killed runs from a folder that nobody writes to now."""
        for name in self.names(folder):
            if name.startswith(".") and name.endswith(".tmp"):
                self.delete(f"{folder}/{name}")

    def draft(self, path: str) -> "Draft":
        """A new file that takes its name only when it is whole."""
        return Draft(self, path)

    def upload(self, path: str) -> Any:
        """A stream straight into place, for stores that show whole objects only."""
        place = self.place(path)
        try:
            return self.filesystem.open_output_stream(place)
        except FileNotFoundError:  # a store that has folders, such as HDFS
            self.filesystem.create_dir(place.rpartition("/")[0], recursive=True)
            return self.filesystem.open_output_stream(place)

    def make_folder(self, folder: str) -> None:
        """Make a folder and those above it; local ones for this user alone."""
        if not self.is_local:
            return
        missing = Path(self.place(folder))
        for part in (*reversed(missing.parents), missing):
            if not part.exists():
                part.mkdir(mode=0o700, exist_ok=True)

    def _infos(self, folder: str) -> list[Any]:
        selector = fs.FileSelector(self.place(folder), allow_not_found=True)
        return list(self.filesystem.get_file_info(selector))


class Draft:
    """A file being written.

    On a local disk it stands beside its target under a name that no reader of Parquet
    picks up, is flushed to the disk, and then renamed. An object store shows an object
    only when its upload is complete, so there it is written in place; and where the
    content has to be compared first, it is held in memory until it is kept.
    """

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self._path = path
        folder, _, name = path.rpartition("/")
        self._temporary = f"{folder}/.{name}.{uuid.uuid4().hex}.tmp"
        if files.is_local:
            files.make_folder(folder)
            place = files.place(self._temporary)
            self.stream = files.filesystem.open_output_stream(place)
        else:
            self.stream = pa.BufferOutputStream()
        self._open = True
        self._content: pa.Buffer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def facts(self) -> tuple[int, str]:
        """Size and SHA-256 of what was written; nothing can be written after."""
        if not self._files.is_local:
            self._content = self.stream.getvalue()
            return self._content.size, hashlib.sha256(self._content).hexdigest()
        self.stream.close()
        return self._files.size(self._temporary), self._files.sha256(self._temporary)

    def keep(self) -> None:
        """Give the file its name: from here on it is the content of that path."""
        self._open = False
        if not self._files.is_local:
            with self._files.upload(self._path) as stream:
                stream.write(self._content or self.stream.getvalue())
            return
        self.stream.close()
        temporary = Path(self._files.place(self._temporary))
        target = Path(self._files.place(self._path))
        _flush(temporary)
        temporary.replace(target)
        _flush(target.parent)
        for left_over in target.parent.glob(f".{target.name}.*.tmp"):
            left_over.unlink(missing_ok=True)  # of a run that was killed

    def drop(self) -> None:
        """Leave the target as it was; nothing happens after `keep`."""
        if not self._open:
            return
        self._open = False
        self.stream.close()
        if self._files.is_local:
            self._files.delete(self._temporary)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

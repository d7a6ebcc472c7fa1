"""Graphs as files."""

import os
from pathlib import Path
from uuid import uuid4

import onnx

from .._training.files import replace_file


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that can be written, or raise."""
    target = Path(os.path.realpath(os.fspath(path)))
    if target.is_dir() or not target.parent.is_dir():
        what = "a folder" if target.is_dir() else "in a folder that is not there"
        raise OSError(f"path must be that of a file, got {os.fspath(path)!r}, which is {what}")
    return target


def write_model(model: onnx.ModelProto, target: Path) -> None:
    """Write a model, so that the file is the old or the new one whatever happens."""
    draft = target.with_name(f".{target.name}.{uuid4().hex}.part")
    replace_file(target, draft, lambda file: file.write(model.SerializeToString()))

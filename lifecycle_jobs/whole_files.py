"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def write_whole(file: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """What is written in the block becomes the file at its end; after an error nothing has changed.

    One that is `private` can be read by its owner alone.
    """
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as unfinished:
        try:
            yield unfinished
            # The name must not reach the disk before what is in the file.
            unfinished.flush()
            os.fsync(unfinished.fileno())
        except BaseException:
            Path(unfinished.name).unlink()
            raise
    if not private:
        # The file that a person asked for is as readable as any other that he writes.
        mask = os.umask(0)
        os.umask(mask)
        Path(unfinished.name).chmod(0o666 & ~mask)
    Path(unfinished.name).replace(file)

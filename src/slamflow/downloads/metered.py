"""A stream whose reader believes the sizes in it, with a limit to how much it gets."""

import tarfile
from typing import IO

HEADERS = 1 << 20  # bytes before a member of a tar: its header, names and extended ones


class Metered:
    """What `tarfile` reads of a stream; headers may be as long as anything, and fill the memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.left: int | None = HEADERS  # bytes; None while there is no limit

    def read(self, size: int = -1) -> bytes:
        """The next bytes.

        Raises:
            tarfile.ReadError: more are wanted than are left.
        """
        if self.left is not None:
            self.left -= size
            if size < 0 or self.left < 0:
                raise tarfile.ReadError(f"the headers of a member have more than {HEADERS} bytes")
        return self.stream.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        """As a stream."""
        return self.stream.seek(position, whence)

    def tell(self) -> int:
        """As a stream."""
        return self.stream.tell()

"""Office files are ZIP archives: the same report makes the same bytes, whenever it is written."""

import io
import zipfile
from collections.abc import Mapping

_EPOCH = (1980, 1, 1, 0, 0, 0)


def packed(content: bytes, instead: Mapping[str, bytes]) -> bytes:
    """The archive without the time at which it was made; `instead`: members that are replaced."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as found, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in found.infolist():
            info = zipfile.ZipInfo(one.filename, _EPOCH)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            archive.writestr(info, instead.get(one.filename) or found.read(one))
    return target.getvalue()

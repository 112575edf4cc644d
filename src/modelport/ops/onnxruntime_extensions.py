"""onnxruntime-extensions: a library of operators on pictures' files, which ONNX Runtime takes."""

from __future__ import annotations

import ctypes
from pathlib import Path

from modelport.errors import OperatorError
from modelport.extras import install_command
from modelport.files.trusted_code import TrustedCode

DOMAIN = "com.microsoft.extensions"
"""The domain of its operators on pictures."""

_FILE = "_extensions_pydll"


def extensions_library() -> Path:
    """The library of onnxruntime-extensions.

    Raises:
        OperatorError: It is not installed.
    """
    try:
        import onnxruntime_extensions
    except ImportError as error:
        raise OperatorError(
            "decode_image needs the library of onnxruntime-extensions",
            fix=install_command("images"),
        ) from error
    return Path(onnxruntime_extensions.get_library_path())


def keep_loaded(library: TrustedCode) -> None:
    """Keeps a copy of the library in the process from now on; of other libraries, does nothing.

    Once unloaded, which ONNX Runtime does with its last session, it crashes where it is loaded
    again.

    Args:
        library: A library of operators.
    """
    if library.name.startswith(_FILE):
        ctypes.CDLL(str(library.path))

"""Files: whatever is read or written goes through here.

Atomic writes and sealed arrays (`files`), networks (`network_files`), CSV and Parquet, and what
version 0.2 wrote.
"""

from jaxnet.io.network_files import load, save

__all__ = ["load", "save"]

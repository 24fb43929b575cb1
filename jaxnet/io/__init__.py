"""All files that jaxnet reads and writes.

`files` has atomic writes and sealed files of arrays, `locks` folders with one writer,
`network_files` networks, `csv` and `parquet` tables, and `version_0_2` reads the files of version
0.2.
"""

from jaxnet.io.network_files import load, save

__all__ = ["load", "save"]

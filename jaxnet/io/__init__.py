"""All files that jaxnet reads and writes.

`reading` has the one function that opens files to read, `files` atomic writes and sealed files of
arrays, `locks` folders with one writer, `network_files` networks, `numpy_files` NumPy's arrays,
`matlab_files`, `idx_files` and `number_text` data sets as others publish them, `compressed` or not,
`csv` and `parquet` tables, and `version_0_2` reads the files of version 0.2.
"""

from jaxnet.io.network_files import load, save

__all__ = ["load", "save"]

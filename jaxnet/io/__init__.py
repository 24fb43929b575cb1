"""Files: atomic writes, sealed arrays, networks, CSV, Parquet."""

"""The command line: `jaxnet train`, `sweep`, `compare`, `predict`, `check`.

It needs the extra `cli`.
"""

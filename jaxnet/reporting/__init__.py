"""Figures and HTML pages of runs, studies, comparisons, and of the scripts in `experiments/`.

It needs the extra `cli`, so `import jaxnet` does not import it.
"""

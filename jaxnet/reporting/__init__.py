"""Pictures and pages of runs, studies, comparisons, and of the scripts in `experiments/`.

It needs the extra `cli`, so that nothing is imported before it is asked for.
"""

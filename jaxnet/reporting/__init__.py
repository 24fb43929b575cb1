"""Pictures and pages of runs, studies, comparisons and experiments. It needs the extra `cli`."""

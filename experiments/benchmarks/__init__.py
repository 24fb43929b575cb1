"""What `experiments/throughput.py` measures: contestants, tables, fresh processes, counts."""

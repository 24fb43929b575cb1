"""What makes training fast and changes no result: spans, blocks, padding, XLA's options."""

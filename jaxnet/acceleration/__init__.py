"""What makes training fast and changes no result: the first layer, blocks, padding, XLA."""

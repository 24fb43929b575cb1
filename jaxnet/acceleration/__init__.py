"""What makes training fast and changes no result; nobody needs it to use jaxnet.

The first layer of many networks in few large products, blocks of mini-batches, padded widths, the
options of the compiler XLA.
"""

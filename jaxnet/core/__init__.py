"""Networks and their gradient: activations, costs, initial weights, backpropagation, checks.

Nothing here knows how networks are trained. Read `activations`, `costs`, `initializers`, `network`,
`backpropagation`, `gradient_check`, in this order.
"""

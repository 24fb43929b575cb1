"""How a network is trained: a `Recipe` of optimizer, regularization, schedule, stopping, …."""

"""The type checker that tests apply to every signature of jaxnet."""

from beartype import BeartypeConf, beartype

# An int is a float to a person, as it is to a type checker.
typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))

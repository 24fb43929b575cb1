"""Convert what people bring to arrays that a network can read.

Lists, DataFrames, arrays of JAX and of other libraries, and all types of numbers are converted
where they have one meaning. The rest is refused with the place of the first offending value and
what to write instead. Arrays that a network can read already are returned as they are.
"""

import numbers

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxnet.core.arguments import reason_of
from jaxnet.core.types import AnyArray, Dataset

READABLE = (np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64))
"""The types of inputs that are used without a conversion."""
LARGEST_WHOLE = 2**24
"""float32 holds all whole numbers up to this one."""


def input_array(x: object, source: str) -> AnyArray:
    """The inputs of one example or of many as uint8 pixels or as finite floats, in their shape.

    Args:
      x: an array, or what NumPy can make one of: lists, a DataFrame. Integers other than uint8,
        booleans and floats of other sizes keep their values.
      source: where x is from, for errors: "training data".

    Returns:
      An array of uint8, float32 or float64: x itself, if it is such an array of NumPy or JAX.

    Raises:
      ValueError: x is not an array of numbers, or one of them is not finite.

    >>> input_array([[1, 2], [3, 4]], "example").dtype
    dtype('float32')
    """
    array = _number_array(x, source, "inputs")
    return array if array.dtype == np.uint8 else _finite_floats(array, source, "inputs")


def target_array(y: object, source: str, takes_labels: bool = True) -> AnyArray:
    """The targets of many examples as n integer labels, or as finite floats (n, n_out).

    Args:
      y: an array, or what NumPy can make one of. Booleans, a column (n, 1) of integers, and
        integers or booleans that are one-hot, (n, n_classes), become labels. Other matrices of
        integers or booleans become floats: multi-label targets, or counts. n floats become a
        column (n, 1).
      source: where y is from, for errors.
      takes_labels: whether integers can be labels; if not, they become floats, too.

    Returns:
      Labels in their integer type, or float32 or float64: y itself, if it is such an array.

    Raises:
      ValueError: y is not an array of numbers of a shape above, or one of them is not finite.

    >>> target_array([[0, 1, 0], [1, 0, 0]], "example").tolist()
    [1, 0]
    >>> target_array([[0, 1, 1], [1, 0, 0]], "example").tolist()
    [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    """
    array = _number_array(y, source, "targets")
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{source}: the targets have shape {array.shape}; they must be n integer labels, or "
            "floats (n, n_out)."
        )
    are_numbers = jnp.issubdtype(array.dtype, jnp.floating) or not takes_labels
    is_matrix = array.ndim == 2 and array.shape[1] > 1
    if are_numbers or (is_matrix and not _are_one_hot(array, source)):
        return _float_targets(array, source)
    if array.ndim == 2:
        array = np.argmax(np.asarray(array), axis=1) if is_matrix else array[:, 0]
    is_common = array.dtype.kind in "iu"  # not bool, nor the 4-bit integers of ml_dtypes
    return array if is_common else array.astype(np.int32)


def weight_array(
    weight: object, n: int, source: str, what: str = "weights"
) -> Float[AnyArray, " n"] | None:
    """The weights of n examples as floats, checked; `None` as it is.

    Args:
      weight: an array, or what NumPy can make one of; or `None` if all examples count the same.
      n: the number of examples.
      source: where they are from, for errors.
      what: what they are called in errors.

    Returns:
      n numbers of at least 0 in float32 or float64, with a positive sum.

    Raises:
      ValueError: they are not n such numbers.

    >>> weight_array([1, 2, 0], 3, "example").tolist()
    [1.0, 2.0, 0.0]
    """
    if weight is None:
        return None
    array = _finite_floats(_number_array(weight, source, what), source, what)
    if array.shape != (n,):
        raise ValueError(
            f"{source}: the {what} have shape {tuple(array.shape)}; give one number for each of "
            f"the {n} examples."
        )
    if isinstance(array, jax.core.Tracer):
        return array
    values = np.asarray(array)
    if values.min() < 0:
        where, value = place(values, values >= 0)
        raise ValueError(
            f"{source}: {where} of the {what} is {value}; they must be at least 0; leave the "
            "example out, or give it the weight 0."
        )
    if not values.any():
        raise ValueError(
            f"{source}: all {what} are zero; give at least one example a positive one."
        )
    return array


def _float_targets(array: AnyArray, source: str) -> AnyArray:
    """Finite floats (n, n_out) with the values of an array of numbers."""
    if array.dtype == np.uint8:  # as inputs, these would be pixels
        array = array.astype(np.int32)
    array = _finite_floats(array, source, "targets")
    return array[:, None] if array.ndim == 1 else array


def labels_of_floats(y: AnyArray) -> Int[np.ndarray, " n"] | None:
    """The class labels that float targets stand for.

    Args:
      y: float targets, (n, n_out).

    Returns:
      The labels of a column of whole numbers ≥ 0, or of one-hot rows, in int32; None for other
      floats.

    >>> labels_of_floats(np.array([[2.0], [0.0]])).tolist(), labels_of_floats(np.array([[0.5]]))
    ([2, 0], None)
    """
    values = np.asarray(y)
    if values.shape[1] > 1:
        return np.argmax(values, axis=1).astype(np.int32) if _is_one_hot(values).all() else None
    column = values[:, 0]
    are_whole = (column >= 0) & (column < 2**31) & (column == np.floor(column))
    return column.astype(np.int32) if are_whole.all() else None


def alike_targets(data: Dataset, source: str) -> Dataset:
    """The data set with labels in all splits, if any split has labels.

    Args:
      data: splits whose targets are labels or floats (n, n_out), as `target_array` returns them.
      source: where they are from, for errors.

    Returns:
      The data set, with float targets that stand for labels converted.

    Raises:
      ValueError: one split has labels, and another one has floats that are not class labels.

    >>> from jaxnet.core.types import Split
    >>> x, one_hot = np.zeros((2, 3)), np.eye(2)
    >>> alike_targets(Dataset(Split(x, np.array([0, 1])), Split(x, one_hot)), "example").valid.y
    array([0, 1], dtype=int32)
    """
    names = dict(zip(data._fields, ("training", "validation", "test"), strict=True))
    splits = {field: split for field, split in data._asdict().items() if split is not None}
    with_labels = [names[field] for field, split in splits.items() if not _are_floats(split.y)]
    for field, split in splits.items():
        if not with_labels or not _are_floats(split.y):
            continue
        labels = None if isinstance(split.y, jax.core.Tracer) else labels_of_floats(split.y)
        if labels is None:
            raise ValueError(
                f"{source}: the {with_labels[0]} targets are class labels, but the {names[field]} "
                f"targets are floats of shape {tuple(split.y.shape)}; give all splits labels, or "
                "all of them floats."
            )
        data = data._replace(**{field: split._replace(y=labels)})
    return data


def place(array: AnyArray, is_allowed: np.ndarray) -> tuple[str, object]:
    """Where an array holds its first value that is not allowed, and the value.

    Args:
      array: the array.
      is_allowed: for each value, shaped like the array, whether it is allowed; one is not.

    Returns:
      Such as "row 3, column 2", counted from 0 ("entry 3" of one dimension), and the value. Further
      dimensions of the array are flattened.

    >>> place(np.array([[1, 2], [3, 4]]), np.array([[True, True], [False, True]]))
    ('row 1, column 0', 3)
    """
    first = int(np.argmin(is_allowed, axis=None))
    value = np.asarray(array).reshape(-1)[first]
    value = value.item() if isinstance(value, np.generic) and value.dtype.kind != "f" else value
    if array.ndim < 2:
        return f"entry {first}", value
    row, column = divmod(first, array.size // len(array))
    return f"row {row}, column {column}", value


def _number_array(values: object, source: str, what: str) -> AnyArray:
    """An array of booleans, integers or floats in the machine's byte order."""
    if isinstance(values, jax.Array):
        array = values
        if jnp.issubdtype(array.dtype, jax.dtypes.extended):
            raise ValueError(f"{source}: the {what} are random keys; give numbers.")
    else:
        array = _numpy_array(values, source, what)
        if array.dtype == object:
            array = _array_of_objects(array, values, source, what)
    if array.dtype.kind in "USTOMm" or not any(
        jnp.issubdtype(array.dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.floating)
    ):
        raise ValueError(
            f"{source}: the {what} are {_type_in_words(array, values)}; {_remedy(array, what)}."
        )
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _numpy_array(values: object, source: str, what: str) -> np.ndarray:
    """A NumPy array of whatever NumPy can make one of; no sparse matrix, nothing masked."""
    if hasattr(values, "toarray") or hasattr(values, "todense"):
        method = "toarray" if hasattr(values, "toarray") else "todense"
        shape = getattr(values, "shape", None)
        raise ValueError(
            f"{source}: the {what} are a sparse matrix of shape {shape}; pass its .{method}()."
        )
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        if mask.any():
            where, _ = place(values.data, ~mask)
            raise ValueError(
                f"{source}: {where} of the {what} is masked; fill it, as by .filled(0), or leave "
                "the row out."
            )
        values = values.data
    try:
        return np.asarray(values)
    except Exception as error:  # whatever the conversion of the object's own class raises
        reason = reason_of(error)
        if "inhomogeneous" in reason:
            reason = "their rows have different lengths"
        raise ValueError(
            f"{source}: the {what} cannot be made an array ({reason}); give rows of equally many "
            "numbers."
        ) from None


def _array_of_objects(array: np.ndarray, values: object, source: str, what: str) -> np.ndarray:
    """The numbers in an array of Python objects, in the type that they have in common."""
    if array.ndim == 0:
        raise ValueError(
            f"{source}: the {what} are a {type(values).__name__}; give an array, or rows of "
            "numbers."
        )
    flat = array.reshape(-1)
    is_number = np.array([isinstance(value, (numbers.Real, np.bool_)) for value in flat], bool)
    are_numbers = is_number.reshape(array.shape)
    if not are_numbers.all():
        where, value = place(array, are_numbers)
        remedy = "give numbers"
        if isinstance(value, str):
            remedy = _string_remedy(what)
        elif isinstance(value, (list, tuple, dict, np.ndarray)):
            remedy = "give rows of equally many numbers"
        shown = np.array2string(value) if isinstance(value, np.ndarray) else repr(value)
        shown = " ".join(shown.split())
        shown = shown if len(shown) <= 40 else f"{shown[:40]}…"
        raise ValueError(f"{source}: {where} of the {what} is {shown}; {remedy}.")
    common = np.array(flat.tolist()).reshape(array.shape) if array.size else array.astype(float)
    if common.dtype != object:
        return common
    try:
        return common.astype(np.float64)  # fractions, or whole numbers beyond 64 bits
    except OverflowError:
        raise ValueError(
            f"{source}: the {what} hold a number beyond float64; use smaller numbers."
        ) from None


def _type_in_words(array: AnyArray, values: object) -> str:
    """Such as "strings, such as 'cat'" or "complex64"."""
    if array.dtype.kind not in "UST":
        return str(array.dtype)
    if not array.ndim:
        return f"the string {values!r}"
    return f"strings, such as {str(array.reshape(-1)[0])[:20]!r}" if array.size else "strings"


def _remedy(array: AnyArray, what: str) -> str:
    """What to write instead of an array that holds no numbers."""
    if array.dtype.kind in "UST":
        return _string_remedy(what)
    return "use uint8 for pixels, or floats" if what == "inputs" else "give numbers"


def _string_remedy(what: str) -> str:
    """What to write instead of strings."""
    if what == "targets":
        return "number the classes: classes, y = numpy.unique(y, return_inverse=True)"
    return "convert them to numbers, as by x.astype(float), or categories to one column each"


def _finite_floats(array: AnyArray, source: str, what: str) -> AnyArray:
    """The numbers as float32 or float64, if JAX's float type can hold all of them."""
    floats = _as_floats(array)
    if isinstance(floats, jax.core.Tracer) or not floats.size:
        return floats
    values = np.asarray(floats)
    float_type = jax.dtypes.canonicalize_dtype(values.dtype)
    limit = float(np.finfo(float_type).max)
    with np.errstate(invalid="ignore"):
        if values.min() >= -limit and values.max() <= limit:  # neither holds for NaN
            return floats
        where, value = place(array, np.abs(values) <= limit)
    if what == "targets" and array.ndim == 1:
        where = where.replace("entry", "row")
    remedy = "; give finite numbers"
    if str(value) not in ("nan", "inf", "-inf"):
        remedy = f", which {float_type} cannot hold; use smaller numbers, such as standardized ones"
    raise ValueError(f"{source}: {where} of the {what} is {value}{remedy}.")


def _as_floats(array: AnyArray) -> AnyArray:
    """The numbers in the smallest of float32 and float64 that holds them."""
    if array.dtype in READABLE:
        return array
    if jnp.issubdtype(array.dtype, jnp.floating):
        dtype = np.float64 if array.dtype.itemsize > 8 else np.float32
    elif array.dtype == np.bool_ or isinstance(array, jax.core.Tracer) or not array.size:
        dtype = np.float32
    else:
        array = np.asarray(array)  # JAX would round a float64 to float32
        whole = array if array.dtype.kind in "iu" else array.astype(np.int32)
        largest = max(int(whole.max()), -int(whole.min()))
        dtype = np.float32 if largest <= LARGEST_WHOLE else np.float64
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _are_one_hot(array: AnyArray, source: str) -> bool:
    """Whether the rows of a matrix of integers or booleans are one-hot, and so name classes."""
    if isinstance(array, jax.core.Tracer):
        raise ValueError(
            f"{source}: the targets are {array.dtype} of shape {tuple(array.shape)}, and traced, "
            "so that one-hot rows are not told from multi-label ones; give n integer labels, or "
            "floats (n, n_out), y.astype(numpy.float32)."
        )
    return bool(_is_one_hot(np.asarray(array)).all())


def _is_one_hot(array: np.ndarray) -> np.ndarray:
    """Whether each row has a single 1 and is 0 elsewhere."""
    return ((array == 0) | (array == 1)).all(axis=1) & ((array == 1).sum(axis=1) == 1)


def _are_floats(y: AnyArray) -> bool:
    """Whether targets are floats, not labels."""
    return jnp.issubdtype(y.dtype, jnp.floating)

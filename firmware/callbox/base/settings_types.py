"""What a type in a settings struct means to a person, and where it nests further sections."""

import types
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import inspect


def struct_within(kind: Any) -> type[msgspec.Struct] | None:
    """Return the struct of a section's type: `S`, `S | None` or `Annotated[S, ...]`; else None."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    if get_origin(kind) is Annotated:
        return struct_within(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return next((struct for part in get_args(kind) if (struct := struct_within(part))), None)
    return None


def struct_family(kind: Any) -> type[msgspec.Struct] | None:
    """Return the struct of a family of sections, `dict[str, S]`; else None."""
    if get_origin(kind) is Annotated:
        return struct_family(get_args(kind)[0])
    return struct_within(get_args(kind)[1]) if get_origin(kind) is dict else None


def description(kind: Any) -> str:
    """Return the description in `Annotated[..., Meta(description=...)]`, or ""."""
    return next((meta.description for meta in _metas(kind) if meta.description), "")


def example(kind: Any) -> Any:
    """Return the first example in `Annotated[..., Meta(examples=[...])]`, or None."""
    return next((meta.examples[0] for meta in _metas(kind) if meta.examples), None)


def _metas(kind: Any) -> list[msgspec.Meta]:
    """Return the notes on a type, or on the parts of a union."""
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        return [note for note in notes if isinstance(note, msgspec.Meta)] + _metas(inner)
    if get_origin(kind) in (Union, types.UnionType):
        return [meta for part in get_args(kind) for meta in _metas(part)]
    return []


def allowed(kind: Any) -> str:
    """Say in words what a value of this type may be: "a whole number from 0 to 27 or "ACT"."""
    return _words(inspect.type_info(kind))


def _words(info: inspect.Type) -> str:
    match info:
        case inspect.Metadata(type=inner):
            return _words(inner)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _range(info)
        case inspect.FloatType():
            return "a number" + _range(info)
        case inspect.StrType():
            return "text" + (f" that matches {info.pattern}" if info.pattern else "")
        case inspect.LiteralType(values=values):
            return _one_of(values)
        case inspect.EnumType(cls=enum):
            return _one_of([member.value for member in enum])
        case inspect.UnionType(types=parts):
            real = [_words(part) for part in parts if not isinstance(part, inspect.NoneType)]
            return " or ".join(real)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return f"a list, each {_words(item)}"
        case inspect.DictType() | inspect.StructType():
            return "a section"
        case _:
            return "a value of another kind"


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    low = info.ge if info.ge is not None else info.gt
    high = info.le if info.le is not None else info.lt
    above = "from" if info.gt is None else "above"
    below = "to" if info.lt is None else "to below"
    if low is not None and high is not None:
        return f" {above} {low:g} {below} {high:g}"
    if low is not None:
        return f" {above} {low:g}" + (" up" if info.gt is None else "")
    return "" if high is None else f" {'up to' if info.lt is None else 'below'} {high:g}"


def _one_of(values: Any) -> str:
    words = [f'"{value}"' if isinstance(value, str) else str(value) for value in values]
    return words[0] if len(words) == 1 else f"one of {', '.join(words)}"

"""The sample of a settings file, written from its struct: every setting, what it means, its default.

What has a default stands as it is; what has none, or belongs to a family of sections whose names the
owner chooses, stands commented out. The sample therefore loads, and loads as the defaults.
"""

import textwrap
from typing import Any

import msgspec

from callbox.base.settings_types import allowed, description, example, struct_family, struct_within

_LINE_WIDTH = 100


def sample(into: type[msgspec.Struct]) -> str:
    """Return the text of a sample TOML file for the struct `into`."""
    return "\n".join(_section(into, (), commented=False)).strip() + "\n"


def _section(struct: type[msgspec.Struct], path: tuple[str, ...], commented: bool) -> list[str]:
    """Return the lines of one section and of those inside it; plain keys come first, as TOML demands."""
    mark = "# " if commented else ""
    lines = _comment(_own_doc(struct))
    lines += [f"{mark}[{'.'.join(path)}]"] if path else []
    nested: list[str] = []
    for field in msgspec.structs.fields(struct):
        family = struct_family(field.type)
        inner = family or struct_within(field.type)
        if inner is not None:
            name = (*path, field.encode_name, *(("NAME",) if family else ()))
            nested += ["", *_comment(description(field.type))]
            nested += _section(inner, name, commented or family is not None)
        else:
            lines += _setting(field, mark)
    return lines + nested


def _setting(field: msgspec.structs.FieldInfo, mark: str) -> list[str]:
    lines = _comment(description(field.type))
    value = _default(field)
    if value is None:
        shown = example(field.type)
        hint = f"  # {allowed(field.type)}" if shown is None else ""
        return [*lines, f"# {field.encode_name} = {'…' if shown is None else _toml(shown)}{hint}"]
    return [*lines, f"{mark}{field.encode_name} = {_toml(value)}"]


def _default(field: msgspec.structs.FieldInfo) -> Any:
    """Return a field's default, or None where it has none to show."""
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return None if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _own_doc(struct: type[msgspec.Struct]) -> str:
    return (struct.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _comment(text: str) -> list[str]:
    words = " ".join(text.split())
    return [f"# {line}" for line in textwrap.wrap(words, _LINE_WIDTH)]


def _toml(value: Any) -> str:
    """Write a plain value; JSON's strings, numbers, booleans and arrays are TOML's too."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()

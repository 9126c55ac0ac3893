"""Loads every native module of the package, and prints how many there are."""

import importlib
import sysconfig
from pathlib import Path

place = Path(sysconfig.get_path("purelib"))
files = [file for file in sorted(place.rglob("*.so")) if ".libs" not in str(file)]
for file in files:
    name = ".".join(file.relative_to(place).parts).split(".cpython-")[0].split(".abi3")[0]
    importlib.import_module(name)
print(len(files), "native modules")

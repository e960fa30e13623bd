"""The floor: what any scan pays. Read the caption column, lower-case it, count the different captions.

python floor.py CAPTIONS.parquet
"""

from __future__ import annotations

import json
import sys

import polars as pl

captions = pl.read_parquet(sys.argv[1], columns=["caption"])["caption"]
print(json.dumps({"captions": len(captions), "distinct": captions.str.to_lowercase().n_unique()}))

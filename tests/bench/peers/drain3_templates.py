"""Drain3's template miner on captions: their words, lower-cased, one log message a caption.

    python drain3_templates.py CAPTIONS.parquet [--similarity 0.4] [--limit N] [--seconds 600] [--out GROUPS.parquet]

--similarity is Drain's sim_th, .4 by default as in Drain3. With --out the group of every row, and what it reads like in
the end.
"""

from __future__ import annotations

import argparse
import json
import time

import polars as pl
from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig
from words import word_lists

CHUNK = 1_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("captions")
    parser.add_argument("--similarity", type=float, default=0.4)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--out")
    arguments = parser.parse_args()
    captions = pl.read_parquet(arguments.captions, columns=["caption"], n_rows=arguments.limit)["caption"]
    config = TemplateMinerConfig()
    config.drain_sim_th = arguments.similarity
    miner = TemplateMiner(config=config)
    started, groups = time.perf_counter(), []
    while len(groups) < len(captions) and time.perf_counter() - started < arguments.seconds:
        messages = word_lists(captions[len(groups) : len(groups) + CHUNK]).list.join(" ").to_list()
        groups += [miner.add_log_message(message)["cluster_id"] for message in messages]
    texts = {cluster.cluster_id: cluster.get_template() for cluster in miner.drain.clusters}
    if arguments.out:
        read = pl.Series([texts[g] for g in groups], dtype=pl.String)
        pl.DataFrame({"group": pl.Series(groups, dtype=pl.Int64), "template": read}).write_parquet(arguments.out)
    print(json.dumps({"captions": len(groups), "clusters": len(texts)}))


if __name__ == "__main__":
    main()

"""How well the scan's risk tells what replicates in the built-in world: the table of docs/risk.md.

    python -m tests.bench.world_risk WORLD... [--list FILE.csv]

Every world (captions.parquet, truth.parquet) is scanned twice: its captions alone, without the decoys, which only their
pictures give away; and whole, with pictures told apart by their md5. AUC by cluster: those that replicate against those
that do not, with risk 0 for a cluster that is no finding. AUC by caption: the highest risk of any finding that has it.
--list writes one line a cluster, to look at what is out of place.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from memaudit.audit import scan
from memaudit.config import ScanConfig
from tests.bench.fit import areas

if TYPE_CHECKING:
    from memaudit.store import Audit

LEAST_DOSE, MOST_HARMLESS = 20, 2  # rows: what replicates, what does not; between them nothing is claimed
PICTURE_DECOYS = ("decoy", "same_caption")  # harmless only for their pictures, which differ
BY_CAPTION = ("unique", "dose 2", *PICTURE_DECOYS)  # harmless


def scanned(world: Path, pictures: bool, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(clusters: kind, role, replicates, n_rows, n_texts, n_images, risk, text; captions: caption, role, replicates,
    risk) of one scan. replicates is null where nothing is claimed."""
    truth = pl.read_parquet(world / "truth.parquet").with_columns(role=_role()).select("caption", "role", "dose")
    rows = pl.read_parquet(world / "captions.parquet", columns=["caption", "md5"])
    if not pictures:
        rows = rows.join(truth, on="caption").filter(pl.col("role") != "decoy").select("caption")
    rows.write_parquet(folder / "rows.parquet")
    config = ScanConfig(columns=("caption",), hash_column="md5" if pictures else None, threads=1)
    audit = scan([str(folder / "rows.parquet")], folder / "audit", config).audit
    held = _held(audit, rows, truth)
    return _clusters(held), _captions(held, truth.filter(pl.col("caption").is_in(rows["caption"].implode())))


def _role() -> pl.Expr:
    """The role, with the dose where it decides."""
    return pl.when(role="dose").then(pl.format("dose {}", "dose")).otherwise("role")


def _held(audit: Audit, rows: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """One row a cluster and caption, with the cluster's finding (nulls where it is none) and the caption's truth."""
    texts = audit.frame("texts").select("text_id", pl.col("row").cast(pl.Int64), rows_of_text="n_rows")
    texts = texts.with_columns(caption=rows["caption"].gather(texts["row"])).join(truth, on="caption")
    findings = audit.frame("findings").drop("text_id", "kind")
    templates = audit.frame("templates").select("cluster_id", "template")
    clusters = audit.frame("clusters").join(texts.drop("row"), on="text_id")
    return clusters.join(findings, on="cluster_id", how="left").join(templates, on="cluster_id", how="left")


def _clusters(held: pl.DataFrame) -> pl.DataFrame:
    """Near clusters and templates have the role of most of their captions; they replicate if that is the image
    templates', and do not if it is any other: the grammar of unlike captions."""
    counts = held.group_by("cluster_id", "role").len().sort("len", "role", descending=[True, False])
    most = counts.group_by("cluster_id", maintain_order=True).first().drop("len")
    one = held.group_by("cluster_id").agg(
        pl.col("kind", "template", "n_images", "features", "rule").first(),
        pl.col("risk").first().fill_null(0.0),
        pl.col("rows_of_text").sum().alias("n_rows"),
        pl.len().alias("n_texts"),
        pl.col("caption").first(),
        pl.col("dose").first(),
    )
    exact = pl.col("kind").cast(pl.String) == "exact"
    unclaimed = exact & pl.col("dose").is_between(MOST_HARMLESS + 1, LEAST_DOSE - 1) & (pl.col("role") != "decoy")
    dosed = exact & (pl.col("dose") >= LEAST_DOSE) & (pl.col("role") != "same_caption")
    replicates = dosed | (~exact & (pl.col("role") == "image_template"))
    told = pl.when(unclaimed).then(None).otherwise(replicates)
    return one.join(most, on="cluster_id").with_columns(replicates=told).sort("risk", "cluster_id", descending=True)


def _captions(held: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    risk = held.group_by("caption").agg(pl.col("risk").max().fill_null(0.0))
    role, dose = pl.col("role"), pl.col("dose")
    replicates = (role == "image_template") | ((dose >= LEAST_DOSE) & ~role.is_in(PICTURE_DECOYS))
    told = pl.when(replicates).then(True).when(role.is_in(BY_CAPTION)).then(False)
    return truth.join(risk, on="caption", how="left").with_columns(pl.col("risk").fill_null(0.0), replicates=told)


def auc(told: pl.DataFrame, without: tuple[str, ...] = ()) -> tuple[float, int, int]:
    """(AUC of risk, how many replicate, how many do not); without: roles that are left out."""
    told = told.filter(~pl.col("role").is_in(without))
    yes, no = (told.filter(replicates=value)["risk"].to_numpy() for value in (True, False))
    return float(areas(yes, no).mean()), len(yes), len(no)


def medians(told: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Median, lowest and highest risk by role."""
    risk = pl.col("risk")
    told = told.group_by(*keys, "replicates").agg(
        n=pl.len(), median=risk.median(), lowest=risk.min(), highest=risk.max()
    )
    return told.sort("replicates", "median", descending=[True, True], nulls_last=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="+", type=Path)
    parser.add_argument("--list", type=Path, help="one line a cluster")
    args = parser.parse_args()
    lines = []
    for world in args.worlds:
        for pictures in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                clusters, captions = scanned(world, pictures, Path(folder))
            name = f"{world.name}, {'pictures and decoys' if pictures else 'text alone, no decoys'}"
            lines.append(clusters.insert_column(0, pl.lit(name).alias("scan")))
            print(f"\n{name}")
            for said, without in (("all", ()), ("without same_caption", PICTURE_DECOYS)):
                for level, told in (("cluster", clusters), ("caption", captions)):
                    area, yes, no = auc(told, without)
                    print(f"  AUC by {level}, {said:<21} {area:.3f}  ({yes} replicate, {no} do not)")
            with pl.Config(tbl_rows=50, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
                print(medians(clusters, ["kind", "role"]))
                print(medians(captions, ["role"]))
    if args.list:
        everything = pl.concat(lines).unnest("features")
        everything.write_csv(args.list, float_precision=3)


if __name__ == "__main__":
    main()

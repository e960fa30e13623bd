"""What a verification is about, before any model is asked: clusters, controls and the training pictures of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from memaudit.errors import BadInput
from memaudit.rules import verify_rules
from memaudit.verify.controls import matched_controls
from memaudit.verify.pictures import find_pictures
from memaudit.verify.prompts import clusters_to_verify

if TYPE_CHECKING:
    from memaudit.progress import Progress
    from memaudit.store import Audit
    from memaudit.verify.pictures import PictureSource
    from memaudit.verify.prompts import Cluster, Prompt
    from memaudit.verify.settings import VerifyConfig


LOOKED_AT = 16  # px at which it is looked whether there are pictures


@dataclass(frozen=True)
class Work:
    """What a verification is about: the clusters, their texts, the controls, and the training pictures of both."""

    clusters: list[Cluster]
    texts: dict[int, list[int]]  # by cluster_id
    controls: list[Prompt]
    source: PictureSource

    def names(self) -> list[str]:
        return [c.fingerprint for c in self.clusters]

    def text_ids(self, cluster: Cluster) -> list[int]:
        return self.texts[cluster.cluster_id]

    def pictured(self, cluster: Cluster) -> bool:
        """Whether any training picture of a cluster can be had."""
        return bool(len(self.source.gallery(self.text_ids(cluster), LOOKED_AT, 1).pictures))


def work_of(audit: Audit, config: VerifyConfig, progress: Progress) -> Work:
    """The clusters to verify and all that needs no model. Raises BadInput for an audit without clusters."""
    clusters = clusters_to_verify(audit, config.top, config.min_severity, seed=config.seed)
    if not clusters:
        why = f"no finding that is not suppressed at or above {config.min_severity}"
        raise BadInput(f"{audit.folder} has nothing to verify", why, f"memaudit report {audit.folder}")
    with progress.stage("choosing controls"):
        controls = matched_controls(audit, clusters, int(verify_rules()["screen"]["controls"]), config.seed)
    if len(controls) < verify_rules()["sample"]["controls"]:
        progress.note(f"only {len(controls)} captions stand in no cluster: what controls do is known less well")
    source = find_pictures(audit, config.image_root, config.image_column, config.download)
    progress.note(source.told)
    texts = _texts_of(audit, [c.cluster_id for c in clusters])
    own = [prompt.text_id for prompt in controls if prompt.text_id is not None]
    source.prepare([*texts.values(), own], int(verify_rules()["sample"]["gallery"]))
    return Work(clusters, texts, controls, source)


def _texts_of(audit: Audit, cluster_ids: list[int]) -> dict[int, list[int]]:
    """Texts of these clusters, the most like the representative first."""
    chosen = audit.scan("clusters").filter(pl.col("cluster_id").is_in(cluster_ids))
    found = chosen.sort("similarity", descending=True).select("cluster_id", "text_id")
    by = audit.collect(found, "clusters", engine="streaming").rows_by_key("cluster_id")
    return {cluster: [row[0] for row in by.get(cluster, [])] for cluster in cluster_ids}

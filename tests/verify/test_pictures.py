"""Training pictures of texts, from real scans of tiny datasets."""

from __future__ import annotations

import io
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from memaudit.audit import scan
from memaudit.config import ScanConfig
from memaudit.errors import UsageError
from memaudit.verify import decoding, picture_files, pictures
from memaudit.verify.decoding import Unusable, decoded_picture
from memaudit.verify.download import Downloads
from memaudit.verify.pictures import find_pictures
from tests.hearing import Heard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from memaudit.store import Audit

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def encoded(
    colour: Any = RED, size: tuple[int, int] = (16, 16), kind: str = "PNG", mode: str = "RGB", **more: Any
) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, kind, **more)
    return file.getvalue()


def fill(folder: Path, **files: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)


def scanned(tmp_path: Path, *data: Path, **config: Any) -> Audit:
    return scan([str(path) for path in data], tmp_path / "audit", ScanConfig(**config)).audit


def table(tmp_path: Path, name: str = "data.csv", **columns: Sequence[Any]) -> Path:
    path = tmp_path / name
    tmp_path.mkdir(exist_ok=True)
    frame = pl.DataFrame(columns)
    frame.write_csv(path) if name.endswith(".csv") else frame.write_parquet(path, row_group_size=3)
    return path


def colours(gallery: pictures.Gallery) -> list[tuple[int, ...]]:
    return [tuple(int(value) for value in picture[0, 0]) for picture in gallery.pictures]


def test_references_beside_the_dataset_most_repeated_first(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "img", a__png=encoded(RED), b__png=encoded(GREEN), copy__png=encoded(GREEN))
    refs = ["img/a.png", "img/b.png", "img/b.png", "img/gone.png", "img/copy.png", "img/a.png"]
    data = table(tmp_path / "set", caption=["red oak"] * 5 + ["blue elm"], image_path=refs)
    heard = Heard()
    source = find_pictures(scanned(tmp_path, data), progress=heard)
    assert source.kind == "folder"
    assert heard.notes == [
        "training pictures: files beside the dataset, by reference (5 of the first 6 rows have theirs)"
    ]
    gallery = source.gallery([0], 8)
    assert gallery.pictures.shape == (2, 8, 8, 3) and gallery.pictures.dtype == np.uint8
    assert (gallery.names, colours(gallery)) == (["img/b.png", "img/a.png"], [GREEN, RED])  # the copy's content once
    assert (gallery.missing, gallery.reasons, gallery.why) == (1, Counter({"no such file": 1}), None)
    assert source.gallery([0], 8, most=1).names == ["img/b.png"]
    assert source.gallery([1], 8).names == ["img/a.png"]
    assert source.gallery([], 8).why == "these captions have no pictures"


def test_one_picture_of_each_text(tmp_path: Path) -> None:
    fill(tmp_path / "set", a__png=encoded(RED), b__png=encoded(GREEN))
    refs = ["gone.png", "a.png", "b.png", "a.png", "gone.png"]
    texts = ["red oak", "red oak", "blue elm", "green ash", "grey yew"]
    source = find_pictures(scanned(tmp_path, table(tmp_path / "set", caption=texts, image_path=refs)))
    gallery = source.one_each([3, 2, 1, 0], 8)
    assert gallery.text_ids.tolist() == [2, 1, 0]  # in the order asked for, the second row where the first has none
    assert colours(gallery) == [RED, GREEN, RED]  # two texts may share one
    assert (gallery.missing, gallery.reasons) == (1, Counter({"no such file": 1}))


def test_prepared_galleries_are_the_same_and_read_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "set", a__png=encoded(RED), b__png=encoded(GREEN))
    data = table(tmp_path / "set", caption=["red oak", "blue elm"] * 3, image_path=["a.png", "b.png", "c.png"] * 2)
    source = find_pictures(scanned(tmp_path, data))
    before = [source.gallery([text], 8) for text in (0, 1)]
    source.prepare([[0], [1]])
    monkeypatch.setattr("memaudit.verify.pictures._rows_of", lambda *_: 1 / 0)
    monkeypatch.setattr("memaudit.verify.picture_ways.DatasetFiles.reader", lambda *_: 1 / 0)
    for text, plain in enumerate(before):
        again = source.gallery([text], 8)
        assert (again.names, again.missing) == (plain.names, plain.missing)
        np.testing.assert_array_equal(again.pictures, plain.pictures)


def test_a_folder_of_pictures_with_txt(tmp_path: Path) -> None:
    fill(tmp_path / "set", a__png=encoded(RED), a__txt=b"sks dog", b__jpg=encoded(BLUE, kind="JPEG"), b__txt=b"sks dog")
    fill(tmp_path / "set", c__png=b"broken", c__txt=b"sks dog")
    source = find_pictures(scanned(tmp_path, tmp_path / "set"))
    gallery = source.gallery([0], 16)
    assert source.kind == "folder"
    assert gallery.names == [str(tmp_path / "set" / name) for name in ("a.png", "b.jpg")]
    assert gallery.reasons == Counter({"no JPEG, PNG, WEBP, GIF or BMP": 1})


@pytest.mark.parametrize(
    ("key", "reference"),
    [
        ("path", "sub/{}.png"),
        ("id", "https://x.example/{}?id=1"),
        ("key", "https://x.example/any?{}"),
        ("the reference's file name", "https://x.example/pics/pic%20{}.jpg?size=2"),
        ("the reference's name less its suffix", "/mnt/train/pic-{}.tif"),
    ],
)
def test_a_named_folder_by_what_fits(tmp_path: Path, key: str, reference: str) -> None:
    names = {"path": "{}.png", "id": "uid{}.webp", "key": "00000{}.jpg", "the reference's file name": "pic {}.jpg"}
    for at, colour in enumerate((RED, BLUE)):
        name = names.get(key, "pic-{}.png").format(at)
        kind = {"png": "PNG", "webp": "WEBP", "jpg": "JPEG"}[name[-4:].strip(".")]
        fill(tmp_path / "root" / "sub", **{name: encoded(colour, kind=kind)})
    data = table(
        tmp_path / "set", "data.parquet", caption=["red oak"] * 3, url=[reference.format(at) for at in range(3)],
        uid=[f"uid{at}" for at in range(3)], key=[f"00000{at}" for at in range(3)],
    )  # fmt: skip
    source = find_pictures(scanned(tmp_path, data), image_root=str(tmp_path / "root"))
    assert source.kind == "folder" and f"by {'reference' if key == 'path' else key} (2 of the first 3" in source.told
    assert len(source.gallery([0], 8).pictures) == 2


def test_a_name_that_several_files_have_is_none(tmp_path: Path) -> None:
    for sub in ("x", "y"):
        fill(tmp_path / "root" / sub, a__png=encoded(RED))
    fill(tmp_path / "root", b__png=encoded(BLUE))
    data = table(tmp_path / "set", caption=["red oak"] * 2, url=["https://e.org/a.png", "https://e.org/b.png"])
    gallery = find_pictures(scanned(tmp_path, data), str(tmp_path / "root")).gallery([0], 8)
    assert colours(gallery) == [BLUE]
    assert gallery.reasons == Counter({"several files of that name": 1})


@pytest.mark.parametrize("root", [False, True])
def test_nothing_leads_out_of_the_folder(tmp_path: Path, root: bool) -> None:
    fill(tmp_path / "private", secret__png=encoded(RED), only__png=encoded(RED))
    fill(tmp_path / "set", good__png=encoded(GREEN))
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "private" / "secret.png")
    (tmp_path / "set" / "way").symlink_to(tmp_path / "private")
    (tmp_path / "set" / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "set" / "pipe.png")
    outside = ["../private/secret.png", str(tmp_path / "private" / "secret.png"), "link.png", "way/only.png"]
    refs = ["good.png", str(tmp_path / "set" / "good.png"), *outside, "pipe.png", "loop.png", "https://e.org/a.png"]
    data = table(tmp_path / "set", caption=["red oak"] * len(refs), image_path=refs)
    source = find_pictures(scanned(tmp_path, data), str(tmp_path / "set") if root else None)
    gallery = source.gallery([0], 8)
    assert colours(gallery) == [GREEN]
    loop = gallery.reasons["no such file"] + gallery.reasons["unreadable file"]
    assert loop == 1
    del gallery.reasons["no such file"], gallery.reasons["unreadable file"]
    assert gallery.reasons == Counter({"outside the folder": 4, "not a file": 1, "reference is a URL": 1})


def test_a_root_that_is_no_folder_or_holds_nothing(tmp_path: Path) -> None:
    audit = scanned(tmp_path, table(tmp_path / "set", caption=["red oak"] * 2, url=["https://e.org/a.png"] * 2))
    with pytest.raises(UsageError, match="is no folder"):
        find_pictures(audit, str(tmp_path / "gone"))
    (tmp_path / "empty").mkdir()
    source = find_pictures(audit, str(tmp_path / "empty"))
    assert source.kind == "none" and source.told.startswith("none: references are URLs")
    gallery = source.one_each([0], 8)
    assert gallery.pictures.shape == (0, 8, 8, 3) and gallery.why == source.told


def with_bytes(path: Path, values: list[Any], kind: pa.DataType, name: str, **more: list[Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    columns = {"caption": ["red oak"] * len(values), name: pa.array(values, kind), **more}
    pq.write_table(pa.table(columns), path, row_group_size=4)
    return path


@pytest.mark.parametrize("name", ["image", "jpg", "picture"])
@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_column_of_bytes(tmp_path: Path, name: str, kind: pa.DataType) -> None:
    values = [
        encoded(RED),
        None,
        encoded(BLUE),
        encoded(RED),
        b"",
        encoded(BLUE, (64, 64), "JPEG")[:200],
        *[encoded(GREEN)] * 5,
    ]
    source = find_pictures(scanned(tmp_path, with_bytes(tmp_path / "set" / "a.parquet", values, kind, name)))
    assert source.kind == "bytes" and source.told.startswith("bytes in the dataset's parquet files")
    gallery = source.gallery([0], 8)
    assert (gallery.names, colours(gallery)) == (["a.parquet#0", "a.parquet#2", "a.parquet#6"], [RED, BLUE, GREEN])
    assert gallery.reasons == Counter({"no bytes": 2, "broken or cut off": 1})


def test_the_struct_of_hugging_face(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [(RED, "a.png"), (BLUE, "b.png"), (BLUE, "b.png")]
    values: list[Any] = [{"bytes": encoded(colour), "path": path} for colour, path in rows]
    path = with_bytes(tmp_path / "set" / "a.parquet", [*values, None], kind, "image")
    gallery = find_pictures(scanned(tmp_path, path)).gallery([0], 8)
    assert (gallery.names, colours(gallery)) == (["b.png", "a.png"], [BLUE, RED])
    assert gallery.reasons == Counter({"no bytes": 1})


def test_bytes_beside_a_url_and_a_named_column(tmp_path: Path) -> None:
    urls, own = [b"https://e.org/1", b"https://e.org/2"], [encoded(RED), encoded(BLUE)]
    more = {"url": pa.array(urls, pa.binary()), "thumb": pa.array([encoded(GREEN)] * 2)}
    audit = scanned(tmp_path, with_bytes(tmp_path / "set" / "a.parquet", own, pa.binary(), "jpg", **more))
    gallery = find_pictures(audit).gallery([0], 8)
    assert (gallery.names, colours(gallery)) == (["https://e.org/1", "https://e.org/2"], [RED, BLUE])
    assert colours(find_pictures(audit, image_column="thumb").gallery([0], 8)) == [GREEN]
    source = find_pictures(audit, image_column="nothing")
    assert (source.kind, source.told) == ("none", "none: no such image column")


def test_only_the_needed_row_groups_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [encoded((at, 0, 0)) for at in range(40)]
    path = with_bytes(tmp_path / "set" / "a.parquet", values, pa.binary(), "image")
    read: list[int] = []
    old = pq.ParquetFile.iter_batches

    def iter_batches(self: Any, *args: Any, **more: Any) -> Iterator[Any]:
        read.extend(more["row_groups"])
        return old(self, *args, **more)  # type: ignore[no-any-return]

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    monkeypatch.setattr(picture_files, "ROWS_AT_ONCE", 2)
    found = dict(picture_files.column_values(str(path), "image", np.array([39, 6, 5], np.uint64)))
    assert found == {at: values[at] for at in (5, 6, 39)} and read == [1, 9]


def test_many_rows_of_unknown_pictures_are_sampled_over_the_data(tmp_path: Path) -> None:
    values = [encoded((at, 0, 0)) for at in range(60)]
    path = with_bytes(tmp_path / "set" / "a.parquet", values, pa.binary(), "image")
    gallery = find_pictures(scanned(tmp_path, path)).gallery([0], 4, most=5)
    assert len(gallery.pictures) == 5
    captions = [f"caption number {'x' * (at + 1)}" for at in range(60)]
    table_ = pa.table({"caption": captions, "image": pa.array(values)})
    pq.write_table(table_, tmp_path / "set" / "b.parquet")
    audit = scan([str(tmp_path / "set" / "b.parquet")], tmp_path / "other", ScanConfig()).audit
    gallery = find_pictures(audit).gallery(range(60), 4, most=5)
    assert gallery.text_ids.tolist() == [0, 6, 12, 18, 24]


def test_urls_are_left_alone_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = ["https://e.org/a.png", "https://e.org/b.png", "https://e.org/a.png", "https://e.org/c.png"]
    audit = scanned(tmp_path, table(tmp_path / "set", caption=["red oak"] * 4, url=urls))
    monkeypatch.setattr(Downloads, "fetch", lambda *_: 1 / 0)
    source = find_pictures(audit)
    assert source.kind == "none" and "--download" in source.told
    web = {"https://e.org/a.png": encoded(RED), "https://e.org/b.png": b"<html>"}

    def fetch(self: Downloads, url: str) -> bytes:
        if url not in web:
            raise Unusable("HTTP 404")
        return web[url]

    monkeypatch.setattr(Downloads, "fetch", fetch)
    source = find_pictures(audit, download=True)
    gallery = source.gallery([0], 8)
    assert source.kind == "download" and (gallery.names, colours(gallery)) == (["https://e.org/a.png"], [RED])
    assert gallery.reasons == Counter({"HTTP 404": 1, "no JPEG, PNG, WEBP, GIF or BMP": 1})


def test_one_hash_behind_several_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = [f"https://e.org/{at}" for at in range(4)]
    data = table(tmp_path / "set", caption=["red oak"] * 4, url=urls, phash=["same", "same", "same", "other"])
    audit = scanned(tmp_path, data)
    monkeypatch.setattr(Downloads, "_fetched", lambda _, url: Unusable("HTTP 410") if url[-1] < "2" else encoded(RED))
    gallery = find_pictures(audit, download=True).gallery([0], 8, most=1)
    assert gallery.names == ["https://e.org/3"] and gallery.missing == 1
    gallery = find_pictures(audit, download=True).gallery([0], 8)
    assert gallery.names == ["https://e.org/3"] and gallery.missing == 0  # the third URL of the hash shows the same


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_a_dataset_file_that_is_not_what_it_was(tmp_path: Path, change: str) -> None:
    fill(tmp_path / "set", a__png=encoded(RED), b__png=encoded(GREEN))
    one = table(tmp_path / "set", "one.csv", caption=["red oak"] * 2, image_path=["a.png"] * 2)
    two = table(tmp_path / "set", "two.csv", caption=["red oak"] * 2, image_path=["b.png"] * 2)
    audit = scanned(tmp_path, one, two)
    two.unlink() if change == "gone" else two.write_text("caption,image_path\nred oak,a.png\n")
    gallery = find_pictures(audit).gallery([0], 8)
    assert colours(gallery) == [RED]
    told = "dataset file has changed" if change == "changed" else "dataset file is damaged or gone"
    assert gallery.reasons == Counter({told: 1})


def test_an_audit_without_references(tmp_path: Path) -> None:
    source = find_pictures(scanned(tmp_path, table(tmp_path / "set", caption=["red oak"] * 2)))
    assert (source.kind, source.told) == ("none", "none: no reference")
    assert source.gallery([0], 8).why == "none: no reference"
    source.prepare([[0]])


def test_a_row_with_two_captions_is_both_texts_picture(tmp_path: Path) -> None:
    values = pa.table({"a": ["red oak"] * 2, "b": ["blue elm"] * 2, "image": pa.array([encoded(RED), encoded(BLUE)])})
    (tmp_path / "set").mkdir()
    pq.write_table(values, tmp_path / "set" / "a.parquet")
    source = find_pictures(scanned(tmp_path, tmp_path / "set" / "a.parquet", columns=("a", "b")))
    assert colours(source.gallery([0, 1], 8)) == [RED, BLUE]
    assert colours(source.one_each([0, 1], 8)) == [RED, RED]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no bytes"),
        (b"<svg/>", "no JPEG, PNG, WEBP, GIF or BMP"),
        (b"II*\0" + b"\0" * 50, "no JPEG, PNG, WEBP, GIF or BMP"),
        (encoded(size=(64, 64), kind="JPEG")[:200], "broken or cut off"),
        (encoded(size=(300, 300))[:120], "broken or cut off"),
    ],
)
def test_what_is_no_picture(data: bytes, told: str) -> None:
    with pytest.raises(Unusable, match=told):
        decoded_picture(data, 8)


def test_bombs_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = encoded(0, (20_000, 20_000), mode="1")
    assert len(bomb) < 100_000
    with pytest.raises(Unusable, match="64 million pixels"):
        decoded_picture(bomb, 8)
    with pytest.raises(Unusable, match="64 million pixels"):
        decoded_picture(encoded(0, (9_000, 9_000), mode="1"), 8)  # below Pillow's own limit
    monkeypatch.setattr(decoding, "MAX_BYTES", 50)
    with pytest.raises(Unusable, match="64 MiB"):
        decoded_picture(encoded(), 8)


@pytest.mark.parametrize(
    ("mode", "colour"), [("L", 200), ("P", 3), ("RGBA", (1, 2, 3, 0)), ("CMYK", (9, 9, 9, 9)), ("1", 1)]
)
def test_every_mode_becomes_rgb(mode: str, colour: Any) -> None:
    data = encoded(colour, (24, 16), "JPEG" if mode == "CMYK" else "PNG", mode)
    assert decoded_picture(data, 8).shape == (8, 8, 3)


def test_a_turned_picture_is_turned_back() -> None:
    image = Image.new("RGB", (32, 32), RED)
    image.paste(BLUE, (0, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    assert tuple(decoded_picture(file.getvalue(), 32)[0, 0]) == RED


def test_an_animation_is_its_first_frame() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), RED).save(file, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8), BLUE)])
    assert tuple(decoded_picture(file.getvalue(), 8)[0, 0]) == RED

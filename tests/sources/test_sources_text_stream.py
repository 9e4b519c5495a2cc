"""Encodings, packing, size limits and plain text."""

import gzip
import tracemalloc
from pathlib import Path

import pytest
import zstandard

from tunelab.errors import DataError
from tunelab.sources import SourceFile, read_rows, text_stream

LINES = '{"a": "é"}\n{"a": "ü"}\n'
MULTI_FRAME = zstandard.compress(LINES.encode()[:7]) + zstandard.compress(LINES.encode()[7:])


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.txt"])
def test_a_utf8_mark_is_no_part_of_the_data(read, name):
    content = LINES if "json" in name else "a\né\n\nü\n"
    assert read(name, content.encode("utf-8-sig")) == read(name, content)


@pytest.mark.parametrize("name", ["t.json.gz", "t.jsonl.gz", "t.json.zst", "t.jsonl.ZST"])
def test_packed_files_are_read_as_their_content(read, name):
    pack = gzip.compress if name.endswith("gz") else zstandard.compress
    assert [row.value for row in read(name, pack(LINES.encode()))] == [{"a": "é"}, {"a": "ü"}]


def test_every_frame_of_a_zstd_file_is_read(read):
    assert len(read("t.jsonl.zst", MULTI_FRAME)) == 2


@pytest.mark.parametrize("name", ["t.jsonl.gz", "t.jsonl.zst"])
def test_a_packed_file_cut_short_is_refused_even_where_bad_rows_are_skipped(read, name):
    many = "".join(f'{{"a": {number}}}\n' for number in range(20_000)).encode()
    packed = gzip.compress(many) if name.endswith("gz") else zstandard.compress(many)
    for keep in (len(packed) - 1, len(packed) // 2, 12):
        with pytest.raises(DataError, match=f"^{name}: the packed file is damaged or cut short"):
            read(name, packed[:keep], [])


def test_a_name_that_promises_packing_is_held_to_it(read):
    with pytest.raises(DataError, match=r"^t\.jsonl\.gz: the name ends in \.gz"):
        read("t.jsonl.gz", LINES)


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.tsv", "t.txt"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le"])
def test_another_unicode_encoding_is_named_with_the_remedy(read, name, encoding):
    with pytest.raises(
        DataError, match=r":1: .*(byte-order mark at byte 1|NUL byte at byte 2); .*save it again as UTF-8"
    ):
        read(name, LINES.encode(encoding), [])


@pytest.mark.parametrize("name", ["t.jsonl", "t.json"])
@pytest.mark.parametrize("zeros", [b"\0\0\0\0", b"\0", b'{"a": "\0"}'])
def test_a_line_of_nul_bytes_is_a_bad_row_wherever_it_stands_and_spoils_no_other(read, name, zeros):
    lines = [b'{"a": "1"}', b'{"a": "2"}']
    for place in (1, 2) if name == "t.json" else (0, 1, 2):
        bad: list[DataError] = []
        content = b"\n".join([*lines[:place], zeros, *lines[place:]])
        assert [row.value for row in read(name, content, bad)] == [{"a": "1"}, {"a": "2"}]
        assert [error.where for error in bad] == [f"{name}:{place + 1}"]


@pytest.mark.parametrize(
    ("name", "content"), [("t.jsonl", '{"a": "x"}\n{"a": "café"}\n'), ("t.csv", "a\ncafé\n"), ("t.txt", "x\ncafé\n")]
)
def test_a_byte_that_is_not_utf8_is_named_by_line_and_offset(read, name, content):
    data = content.encode("latin-1")
    with pytest.raises(DataError) as caught:
        read(name, data)
    assert str(caught.value).startswith(f"{name}:2: byte {data.index(0xE9) + 1} of the file")
    assert "Windows-1252" in str(caught.value)


@pytest.mark.parametrize("padding", [0, 2**18 - 14, 2**18 - 9, 2**18])
def test_offsets_in_an_array_are_right_across_chunks(read, padding):
    good = b'[{"a": "' + b"x" * padding + "éü€😀".encode() + b'"},\n'
    with pytest.raises(DataError, match=rf"^t\.json:2: byte {len(good) + 8:,} "):
        read("t.json", good + b'{"a": "\xe9"}]')
    assert len(read("t.json", good + b'{"a": 1}]')) == 2


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.tsv", "t.txt", "t.jsonl.gz", "t.parquet"])
def test_an_empty_file_is_refused(read, name):
    with pytest.raises(DataError, match=rf"^{name}: "):
        read(name, gzip.compress(b"") if name.endswith("gz") else b"", [])


@pytest.mark.parametrize(
    ("name", "content"), [("t.jsonl", "\n \n"), ("t.json", "[]"), ("t.csv", "a,b\n"), ("t.txt", "\n\n")]
)
def test_a_file_without_rows_is_refused(read, name, content):
    with pytest.raises(DataError, match=f"^{name}: the file holds no rows"):
        read(name, content)


def test_a_missing_file_a_folder_and_an_unknown_kind_are_told_apart(tmp_path: Path):
    (tmp_path / "t.xlsx").write_text("x")
    (tmp_path / "d.json").mkdir()
    for name, words in (("no.json", "no such file"), ("d.json", "a folder"), ("t.xlsx", r'ends in "\.xlsx"')):
        with pytest.raises(DataError, match=f"^{name}: .*{words}"):
            list(read_rows([SourceFile(name=name, path=tmp_path / name)]))


def test_an_overlong_line_is_a_bad_row_and_the_next_one_is_read(read, monkeypatch):
    monkeypatch.setattr(text_stream, "MAX_LINE_BYTES", 2**20)
    bad: list[DataError] = []
    rows = read("t.jsonl", '{"a": 1}\n{"a": "' + "x" * 2**21 + '"}\n{"a": 2}\n', bad)
    assert [row.origin.line for row in rows] == [1, 3]
    assert [str(error) for error in bad] == ["t.jsonl:2: this line is longer than 1 MiB; expected shorter rows."]


@pytest.mark.parametrize("name", ["t.jsonl.gz", "t.jsonl.zst"])
def test_a_decompression_bomb_is_refused_in_bounded_memory(read, monkeypatch, name):
    monkeypatch.setattr(text_stream, "MAX_LINE_BYTES", 2**20)
    bomb = b"0" * (96 * 2**20)
    packed = gzip.compress(bomb, 1) if name.endswith("gz") else zstandard.compress(bomb)
    del bomb
    tracemalloc.start()
    with pytest.raises(DataError, match="longer than 1 MiB"):
        read(name, packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 48 * 2**20


def test_paragraphs_are_parted_by_blank_lines_and_stay_whole(read):
    long = "word " * 50_000
    rows = read("t.txt", f"\n\nfirst line\r\nsecond line\r\n \r\n\n{long}\n")
    assert [(row.value, row.origin.line) for row in rows] == [("first line\nsecond line", 3), (long, 7)]


def test_in_a_text_without_blank_lines_each_line_is_a_document(read):
    assert [(row.value, row.origin.line) for row in read("t.txt", "one\ntwo\n\n")] == [("one", 1), ("two", 2)]

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


TEXTS = {
    "gb18030": ("GB18030", "今天天气很好，我们去公园散步吧。请问这个盒子在哪里？盒子在第三号大厅的左边。"),
    "big5": ("Big5", "今天天氣很好，我們去公園散步吧。請問這個盒子在哪裡？盒子在第三號大廳的左邊。"),
    "shift_jis": ("Shift-JIS", "今日はとても天気がいいので、公園に散歩に行きましょう。箱はどこにありますか？"),
    "euc_kr": (
        "EUC-KR",
        "오늘은 날씨가 매우 좋아서 공원에 산책하러 갑시다. 상자는 어디에 있습니까? 세 번째 홀에 있습니다.",
    ),
    "cp1251": (
        "Windows-1251",
        "Сегодня хорошая погода, пойдём гулять в парк. Где находится коробка? Она в третьем зале.",
    ),
    "koi8-r": ("KOI8-R", "Сегодня хорошая погода, пойдём гулять в парк. Где находится коробка?"),
    "cp1253": ("Windows-1253", "Πού είναι το κουτί; Το κουτί βρίσκεται στην τρίτη αίθουσα, στα αριστερά της εισόδου."),
    "cp1252": ("Windows-1252", "Onde está a caixa? Está no salão à esquerda, não muito longe da saída."),
    "cp1250": ("Windows-1250", "Gdzie jest pudełko? Pudełko znajduje się w trzeciej sali. Dziękuję bardzo."),
}


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv"])
def test_a_file_in_another_encoding_names_it_and_the_command_that_converts_it(read, name, encoding):
    expected, text = TEXTS[encoding]
    row = f'{{"a": "{text}"}}'
    content = {"t.csv": f"a\n{text}\n", "t.json": f"[{row}]", "t.jsonl": f"{row}\n"}[name]
    with pytest.raises(DataError) as caught:
        read(name, content.encode(encoding))
    assert expected in caught.value.remedy
    assert "iconv -f" in caught.value.remedy
    assert encoding in ("cp1252", "cp1250") or text[:20] in caught.value.remedy


def test_two_encodings_are_named_where_the_text_is_too_short_to_tell(read):
    with pytest.raises(DataError, match=r"looks like .*, or .*: there is too little text to be sure"):
        read("t.csv", "a\n盒子\n".encode("gb18030"))


def test_a_damaged_byte_in_utf8_is_not_taken_for_another_encoding(read):
    with pytest.raises(DataError, match=r"^t\.csv:2: byte \d+ .*The rest is UTF-8"):
        read("t.csv", "a\nçãé olá\n".encode().replace("é".encode(), b"\xc3") + b"x\n")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_known_where_it_does_not_begin_with_ascii(read, encoding):
    with pytest.raises(DataError, match=r"^t\.csv:1: a NUL byte at byte \d+; .*The file is UTF-16"):
        read("t.csv", "提示,回答\n你好,您好\n再见,再见\n".encode(encoding))


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.txt"])
def test_a_byte_order_mark_where_two_files_were_joined_is_no_text(read, name):
    one, two = ('{"a": "é"}\n', '{"a": "ü"}\n') if "json" in name else ("é\n", "ü\n")
    plain = [row.value for row in read(name, one + two)]
    assert [row.value for row in read(name, f"\ufeff{one}\ufeff{two}")] == plain


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.txt", "t.parquet", "t.arrow"])
def test_a_pointer_of_git_lfs_is_said_to_be_one(read, name):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
    with pytest.raises(DataError, match=rf"^{name}: this is a pointer of Git LFS.*git lfs pull --include {name}"):
        read(name, pointer)


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

"""`tunelab clean DATA -o OUT`: data in, cleaned data out, every rejected row kept with its reason."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tunelab.cli.output import harmless, print_table, say
from tunelab.cli.reading import reading_bar
from tunelab.errors import UserError, counted

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tunelab.cleaning.report import CleanReport, RuleCount

Settings = TypeVar("Settings", bound="BaseModel")

_LIMIT = "[FIELD=]N"
_OPTIONS = {
    "unicode_normalization": "unicode",
    "languages": "language",
    "text_fields": "text-field",
    "prompt_fields": "prompt-field",
    "exclude_files": "exclude",
}
"""Options that are called otherwise than their settings."""
_NO_LABEL = "(none)"
_ANSWER = "report|redact|drop"


def command(
    data: Annotated[list[str], typer.Argument(metavar="DATA", hidden=True)],
    out: Annotated[str, typer.Option("-o", "--out", metavar="OUT", help="File to write; with --test-size a folder.")],
    text_field: Annotated[
        list[str] | None,
        typer.Option("--text-field", metavar="FIELD", help="Look at this field alone. Repeatable."),
    ] = None,
    strip_html: Annotated[bool, typer.Option("--strip-html", help="Take tags, comments and entities out.")] = False,
    control: Annotated[
        bool, typer.Option("--remove-control-characters", help="Take control characters out; line breaks stay.")
    ] = False,
    unicode: Annotated[
        str | None, typer.Option("--unicode", metavar="NFC|NFKC", help="Bring text into this Unicode form.")
    ] = None,
    personal_data: Annotated[
        str, typer.Option("--personal-data", metavar=_ANSWER, help="E-mail, phone, card numbers and the like.")
    ] = "keep",
    secrets: Annotated[str, typer.Option("--secrets", metavar=_ANSWER, help="Keys and passwords.")] = "keep",
    drop_nulls: Annotated[bool, typer.Option("--drop-nulls", help="Drop rows with a text that is missing.")] = False,
    drop_blank: Annotated[bool, typer.Option("--drop-blank", help="Drop rows with a text of white space.")] = False,
    min_chars: Annotated[
        list[str] | None,
        typer.Option("--min-chars", metavar=_LIMIT, help="Fewest characters of a text (of FIELD). Repeatable."),
    ] = None,
    max_chars: Annotated[
        list[str] | None,
        typer.Option("--max-chars", metavar=_LIMIT, help="Most characters of a text (of FIELD). Repeatable."),
    ] = None,
    min_tokens: Annotated[
        int | None, typer.Option("--min-tokens", min=1, metavar="N", help="Fewest tokens of a row's text.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, metavar="N", help="Most tokens of a row's text.")
    ] = None,
    tokenizer: Annotated[
        str, typer.Option("--tokenizer", metavar="NAME", help="Whose tokens: nano, or a tokenizer.json.")
    ] = "nano",
    language: Annotated[
        list[str] | None,
        typer.Option("--language", metavar="CODE", help="Drop rows in other languages, e.g. en. Repeatable."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="FILE", help="Drop rows that ask what a row of FILE asks. Repeatable."),
    ] = None,
    near_overlap: Annotated[
        float | None,
        typer.Option("--near-overlap", metavar="SHARE", help="... and rows this alike to one, e.g. 0.8."),
    ] = None,
    drop_duplicates: Annotated[
        str | None, typer.Option("--drop-duplicates", metavar="row|prompt", help="Keep the first of equal ones.")
    ] = None,
    prompt_field: Annotated[
        list[str] | None,
        typer.Option("--prompt-field", metavar="FIELD", help="A table's column that is the prompt. Repeatable."),
    ] = None,
    conflicts: Annotated[
        str, typer.Option("--conflicts", metavar="first|drop", help="Other answers to a prompt: keep first, or none.")
    ] = "keep",
    near_duplicates: Annotated[
        float | None,
        typer.Option("--near-duplicates", metavar="SHARE", help="Drop rows this alike to an earlier one, e.g. 0.8."),
    ] = None,
    label_field: Annotated[
        str | None,
        typer.Option("--label-field", metavar="FIELD", help="Field of a row's class; else the answer itself."),
    ] = None,
    label_json_key: Annotated[
        str | None, typer.Option("--label-json-key", metavar="KEY", help="... or the key of an answer that is JSON.")
    ] = None,
    label_pattern: Annotated[
        str | None,
        typer.Option("--label-pattern", metavar="REGEX", help="... or the part of an answer: the first group."),
    ] = None,
    max_per_class: Annotated[
        int | None, typer.Option("--max-per-class", min=1, metavar="N", help="At most N rows of a class, by seed.")
    ] = None,
    max_samples: Annotated[
        int | None, typer.Option("--max-samples", min=1, metavar="N", help="At most N rows in all, by seed.")
    ] = None,
    stratified: Annotated[
        bool, typer.Option("--stratified", help="Draw and split so that each class keeps its share.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Decides every draw.")] = 42,
    test_size: Annotated[
        float,
        typer.Option(
            "--test-size", min=0, max=0.9, metavar="SHARE", help="Split this share off, sessions whole, e.g. 0.1."
        ),
    ] = 0.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what stands at OUT.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Write data anew without what spoils it; keep every rejected row with its place and its reason.

    DATA are files of rows, folders or globs; they are never changed. OUT ends in .jsonl, .csv, .tsv or
    .parquet (.gz and .zst of the first three), and nothing is dropped but what no trainer could read
    and what you ask for. Beside clean.jsonl, rejected rows stand in clean.rejected.jsonl, the counts in
    clean.report.json; in the folder of --test-size they are rejected.jsonl and report.json.
    """
    from tunelab.cleaning.config import CleaningConfig
    from tunelab.cleaning.targets import beside
    from tunelab.conversations.config import ConversationConfig
    from tunelab.flows.clean import clean_data

    config = _checked(
        CleaningConfig,
        {
            "text_fields": text_field or (),
            "strip_html": strip_html,
            "remove_control_characters": control,
            "unicode_normalization": unicode,
            "personal_data": personal_data,
            "secrets": secrets,
            "drop_nulls": drop_nulls,
            "drop_blank": drop_blank,
            "min_chars": _limits("--min-chars", min_chars),
            "max_chars": _limits("--max-chars", max_chars),
            "min_tokens": min_tokens,
            "max_tokens": max_tokens,
            "tokenizer": tokenizer,
            "languages": language or (),
            "exclude_files": exclude or (),
            "near_overlap": near_overlap,
            "drop_duplicates": drop_duplicates,
            "prompt_fields": prompt_field or (),
            "conflicts": conflicts,
            "near_duplicates": near_duplicates,
            "max_per_class": max_per_class,
            "max_samples": max_samples,
            "stratified": stratified,
            "seed": seed,
        },
    )
    labels = {"label_field": label_field, "label_json_key": label_json_key, "label_pattern": label_pattern}
    conversation = _checked(ConversationConfig, {name: value for name, value in labels.items() if value is not None})
    try:
        with reading_bar("cleaning") as on_progress:
            report = clean_data(
                data,
                out,
                config,
                conversation=conversation,
                test_size=test_size,
                overwrite=overwrite,
                on_progress=on_progress,
            )
    except KeyboardInterrupt:
        stand = "stands" if len(data) == 1 else "stand"
        told = f"nothing was written to {out}; {', '.join(data)} {stand} untouched"
        raise KeyboardInterrupt(harmless(told)) from None
    except UserError as error:
        raise _by_options(error) from error
    if as_json:
        from dataclasses import asdict

        print(json.dumps({"out": out, **asdict(report)}, ensure_ascii=False, indent=2))
    else:
        print_report(report, out, splits=test_size > 0)
    if report.lacks:
        rejected, _ = beside(Path(out), splits=test_size > 0)
        told = f"Each rejected row stands with its reason in {rejected}."
        remedy = "Give another --test-size, or keep more rows." if report.num_kept else told
        say(f"{report.lacks[0].upper()}{report.lacks[1:]}. {remedy}", style="bold red", stderr=True)
        raise typer.Exit(1)


def print_report(report: CleanReport, out: str, *, splits: bool) -> None:
    """Print what the rows were taken for, what was done, rule by rule, and where the rows are."""
    from tunelab.cleaning.targets import beside

    for note in filter(None, (*report.notes, report.compared)):
        say(harmless(f"  {note}"), style="dim")
    for title, counts in (
        ("changed", report.changed),
        ("rejected", report.rejected),
        ("not drawn", report.not_drawn),
        ("found, and left in", report.reported),
    ):
        _print_counts(title, counts)
    _print_counts("no label", report.unlabelled)
    for each in report.unlabelled:
        remedy = "" if each.rule == "answer" else f" Mend --{_option(each.rule)} if they should have one."
        say(f"    They count as one class of their own, {_NO_LABEL}.{remedy}")
    if report.classes:
        columns = ("class", "rows", "of them test") if report.num_test else ("class", "rows")
        rows = [
            (harmless(label) or _NO_LABEL, train + test, test)[: len(columns)]
            for label, (train, test) in sorted(report.classes.items(), key=lambda each: (-sum(each[1]), each[0]))
        ]
        print_table(columns, rows)
    sides = f" ({report.num_train:,} to train on, {report.num_test:,} to test with)" if report.num_test else ""
    drawn = f", {report.num_not_drawn:,} not drawn" if report.num_not_drawn else ""
    say()
    say(
        f"{counted(report.num_read, 'row')} read: {report.num_kept:,} kept{sides}, "
        f"{report.num_rejected:,} rejected{drawn}.",
        style="bold",
    )
    rejected, told = (path.name for path in beside(Path(out), splits=splits))
    place = f"the folder {out}, with {rejected} and {told}" if splits else f"{out}; {rejected} and {told} stand beside"
    say(f"Written to {place}.")


def _print_counts(title: str, counts: tuple[RuleCount, ...]) -> None:
    for each in counts:
        say(f"{title}  {each.rule}: {counted(each.count, 'row')}", style="bold")
        for example in each.examples:
            say(harmless(f"    {example}"))


def _checked(kind: type[Settings], values: dict[str, object]) -> Settings:
    """Return settings; what cannot be is told by the option's name."""
    from pydantic import ValidationError

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        option = _option(name)
        expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        expected = expected.replace("'keep', ", "").replace("'", "")
        given = json.dumps(first["input"], ensure_ascii=False)
        if expected.startswith(("is no", "is a", "names")):  # a clause of its own
            raise _by_options(UserError(f"--{option} {given} {expected}")) from None
        raise _by_options(UserError(f"--{option} is {given}", expected=expected)) from None


def _by_options(error: UserError) -> UserError:
    """Return an error that names options where it named settings; what stands in quotes is the user's own."""
    from tunelab.cleaning.config import CleaningConfig

    settings = [*CleaningConfig.model_fields, "label_field", "label_json_key", "label_pattern"]
    plain = "|".join(name for name in settings if "_" in name)
    words = "|".join(name for name in settings if "_" not in name)  # elsewhere they are words like others
    setting = re.compile(rf'(?<![\w".-])(?:data\.)?({plain})(?![\w"])|(?:^|(?<=or ))({words})(?![\w"])')

    def told(text: str) -> str:
        return setting.sub(lambda match: f"--{_option(match[1] or match[2])}", text)

    what, where, expected, remedy = map(told, (error.what, error.where, error.expected, error.remedy))
    return UserError(what, where=where, expected=expected, remedy=remedy)


def _option(setting: str) -> str:
    return _OPTIONS.get(setting, setting.replace("_", "-"))


def _limits(option: str, given: list[str] | None) -> dict[str, int]:
    limits = {}
    for text in given or ():
        field, _, number = text.rpartition("=")
        if not number.isdecimal():
            raise UserError(f'{option} is "{text}"', expected="a whole number, or FIELD=NUMBER")
        limits[field or "*"] = int(number)
    return limits

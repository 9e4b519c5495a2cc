"""`tunelab clean DATA -o OUT`: data in, cleaned data out, every rejected row kept with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.clean_options import checked_settings, limits, told_by_options
from tunelab.cli.clean_summary import print_report
from tunelab.cli.console import harmless, say
from tunelab.cli.reading_line import reading_line
from tunelab.errors import UserError
from tunelab.events import EventLog

_LIMIT = "[FIELD=]N"
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
    from tunelab.cleaning.output.output_files import beside
    from tunelab.conversations.config import ConversationConfig
    from tunelab.flows.clean import clean_data

    config = checked_settings(
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
            "min_chars": limits("--min-chars", min_chars),
            "max_chars": limits("--max-chars", max_chars),
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
    conversation = checked_settings(
        ConversationConfig, {name: value for name, value in labels.items() if value is not None}
    )
    try:
        with reading_line() as line, EventLog(None, [line]) as events:
            report = clean_data(
                data,
                out,
                config,
                conversation=conversation,
                test_size=test_size,
                overwrite=overwrite,
                events=events,
            )
    except KeyboardInterrupt:
        stand = "stands" if len(data) == 1 else "stand"
        told = f"nothing was written to {out}; {', '.join(data)} {stand} untouched"
        raise KeyboardInterrupt(harmless(told)) from None
    except UserError as error:
        raise told_by_options(error) from error
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

"""`tunelab clean DATA -o OUT`: data in, cleaned data out, every rejected row kept with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tunelab.cleaning.config import CleaningConfig
from tunelab.cli.clean_summary import print_report
from tunelab.cli.console import harmless, print_document, say
from tunelab.cli.reading_progress import reading_line
from tunelab.cli.setting_flags import SettingFlags
from tunelab.conversations.config import ConversationConfig
from tunelab.errors import UserError
from tunelab.events import EventLog

FLAGS = SettingFlags(CleaningConfig, ConversationConfig)


@FLAGS.added_to
def command(
    data: Annotated[list[str], typer.Argument(metavar="DATA", hidden=True)],
    out: Annotated[str, typer.Option("-o", "--out", metavar="OUT", help="File to write; with --test-size a folder.")],
    *,
    test_size: Annotated[
        float,
        typer.Option(
            "--test-size", min=0, max=0.9, metavar="SHARE", help="Split this share off, sessions whole, e.g. 0.1."
        ),
    ] = 0.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is at OUT.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    **settings: Any,
) -> None:
    """Write data anew without what spoils it; keep every rejected row with its place and its reason.

    DATA are files of rows, folders or globs; they are never changed. OUT ends in .jsonl, .csv, .tsv or
    .parquet (.gz and .zst of the first three), and nothing is dropped but what no trainer could read
    and what you ask for. Next to clean.jsonl, rejected rows are in clean.rejected.jsonl, the counts in
    clean.report.json; in the folder of --test-size they are rejected.jsonl and report.json.
    """
    from tunelab.cleaning.output.output_files import companion_files
    from tunelab.flows.clean import clean_data

    config = FLAGS.read(CleaningConfig, settings)
    conversation = FLAGS.read(ConversationConfig, settings)
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
        are = "is" if len(data) == 1 else "are"
        raise KeyboardInterrupt(harmless(f"nothing was written to {out}; {', '.join(data)} {are} unchanged")) from None
    except UserError as error:
        raise FLAGS.named_in(error) from error
    if as_json:
        from dataclasses import asdict

        print_document(json.dumps({"out": out, **asdict(report)}, ensure_ascii=False, indent=2))
    else:
        print_report(report, out, splits=test_size > 0, flag_of=FLAGS.flag_of)
    if report.lacks:
        rejected, _ = companion_files(Path(out), splits=test_size > 0)
        reasons = f"{rejected} holds each rejected row with its reason."
        remedy = "Give another --test-size, or keep more rows." if report.num_kept else reasons
        say(f"{report.lacks[0].upper()}{report.lacks[1:]}. {remedy}", style="bold red", stderr=True)
        raise typer.Exit(1)

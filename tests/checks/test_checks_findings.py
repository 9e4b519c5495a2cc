"""Each finding appears where its fault is, and only there."""

import re
from dataclasses import replace

import pytest
from check_contexts import a_set, chat, chats, context, dropped, of_sequences, rendered

from tunelab.checks.check import check
from tunelab.checks.config import ChecksConfig
from tunelab.checks.context import CheckContext, PlannedRun
from tunelab.checks.finding import Finding
from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.errors import DataError
from tunelab.rendering.rendered import LeftOut
from tunelab.sources.row import Origin

RUN = PlannedRun(
    total_steps=100,
    examples_per_step=8,
    uses_warmup=True,
    num_warmup_steps=10,
    evaluates=True,
    keeps_best=True,
    eval_steps=20,
    save_steps=40,
)


def the(code: str, of: CheckContext) -> Finding:
    found = [finding for finding in check(of) if finding.code == code]
    assert len(found) == 1, check(of).codes()
    return found[0]


def clean(**fields: object) -> CheckContext:
    held_out = chats(4, first=100, path="test.jsonl")
    sequences = [rendered(line, prompt=(1, 10 + line)) for line in range(1, 21)]
    settings = {"held_out": held_out, "rendered_train": a_set(sequences), "bos_id": 1, "planned": RUN, **fields}
    return context(**settings)


def test_clean_material_has_no_finding() -> None:
    assert not check(clean()).items


def test_pain_13_an_unreadable_row_is_listed_with_file_line_and_what_was_expected() -> None:
    error = DataError("this line is no JSON", where="train.jsonl:7", expected="one object per line")
    finding = the("unreadable_row", clean(bad_rows=(error,)))
    assert (finding.severity, finding.count, finding.total) == ("error", 1, 25)
    assert finding.examples == ("train.jsonl:7: this line is no JSON; expected one object per line.",)


def test_bad_rows_that_are_knowingly_skipped_are_still_counted_and_do_not_block() -> None:
    finding = the("unreadable_row", clean(bad_rows=(DataError("broken"),), skips_bad_rows=True))
    assert (finding.severity, finding.count) == ("note", 1)


def test_a_conversation_without_an_assistant_blocks() -> None:
    lonely = Conversation(messages=(Message(role="user", content="anyone?"),), origin=Origin(path="a.jsonl", line=9))
    finding = the("no_assistant_turn", clean(train=[*chats(20), lonely]))
    assert (finding.severity, finding.examples) == ("error", ("a.jsonl:9",))


def test_plain_text_needs_no_assistant() -> None:
    texts = [Conversation(text=f"text {n}", origin=Origin(path="a.txt", line=n)) for n in range(20)]
    assert "no_assistant_turn" not in check(context(train=texts)).codes()


def test_an_empty_answer_is_found_and_a_bare_tool_call_is_none() -> None:
    call = Message(role="assistant", tool_calls=(ToolCall(name="stock", arguments={}),))
    calling = replace(chat(30), messages=(Message(role="user", content="in stock?"), call))
    finding = the("empty_answer", clean(train=[*chats(20), calling, chat(31, answer="  \n")]))
    assert (finding.count, finding.examples) == (1, ("train.jsonl:31",))


def test_pain_29_too_little_data_is_said_before_anything_starts() -> None:
    finding = the("too_few_rows", clean(train=chats(9)))
    assert (finding.severity, finding.count, finding.total) == ("error", 9, 10)
    assert "too_few_rows" not in check(clean(train=chats(10))).codes()


def test_a_held_out_prompt_that_is_trained_blocks_whatever_its_answer() -> None:
    leaked = chat(1, prompt="question 3", answer="another answer", path="test.jsonl")
    finding = the("train_eval_overlap", clean(held_out=[leaked, *chats(3, first=100)]))
    assert (finding.severity, finding.count, finding.total, finding.examples) == ("error", 1, 4, ("test.jsonl:1",))


def test_a_held_out_prompt_is_found_inside_a_longer_trained_conversation() -> None:
    long = replace(chat(50), messages=(*chat(1, "asked").messages, *chat(2, "and then?").messages))
    inner = chat(1, prompt="asked", path="test.jsonl")
    assert the("train_eval_overlap", clean(train=[*chats(20), long], held_out=[inner])).count == 1
    only_the_last = replace(long, train="last")
    assert "train_eval_overlap" not in check(clean(train=[*chats(20), only_the_last], held_out=[inner])).codes()


def test_overlap_up_to_the_allowed_share_is_a_note() -> None:
    held_out = [chat(1, prompt="question 3", path="test.jsonl"), *chats(3, first=100)]
    assert the("train_eval_overlap", clean(held_out=held_out, config=ChecksConfig(max_overlap=0.25))).severity == "note"


def test_the_same_text_on_both_sides_is_an_overlap() -> None:
    text = Conversation(text="once", origin=Origin(path="a.txt", line=1))
    assert the("train_eval_overlap", clean(train=[*chats(20), text], held_out=[text])).count == 1


def test_a_repeated_row_is_a_note_and_many_are_a_warning() -> None:
    assert the("duplicates", clean(train=[*chats(20), chat(21, prompt="question 3")])).severity == "note"
    copies = [chat(21 + n, prompt="question 3") for n in range(5)]
    finding = the("duplicates", clean(train=[*chats(20), *copies]))
    assert (finding.severity, finding.count) == ("warning", 5)


def test_rows_without_an_answer_repeat_none() -> None:
    silent = [
        Conversation(
            messages=tuple(Message(role="user", content=text) for text in texts), origin=Origin(path="t.jsonl", line=30)
        )
        for texts in ((), ("one question",), ("another one",))
    ]
    assert "duplicates" not in check(clean(train=[*chats(20), *silent])).codes()


def test_the_same_prompt_with_two_answers_names_both_places() -> None:
    finding = the("conflicting_answers", clean(train=[*chats(20), chat(21, prompt="question 3", answer="no")]))
    assert (finding.count, finding.examples) == (2, ("train.jsonl:3 and train.jsonl:21",))


def test_more_samples_than_rows_is_said() -> None:
    finding = the("samples_above_rows", clean(train_samples=8000, num_train_found=20))
    assert finding.severity == "note"
    assert "8,000" in finding.summary


def test_pain_04_a_sequence_without_a_trained_token_blocks() -> None:
    finding = the("nothing_trained", clean(rendered_train=a_set([rendered(1), rendered(2, completion=())])))
    assert (finding.severity, finding.count, finding.examples) == ("error", 1, ("train.jsonl:2",))
    assert the("nothing_trained", clean(rendered_train=a_set([]))).severity == "error"


def test_pain_01_an_answer_cut_to_nothing_blocks() -> None:
    rendering = a_set([rendered(1)], dropped=(dropped(2, "answer cut away"),))
    finding = the("answer_cut_away", clean(rendered_train=rendering))
    assert (finding.severity, finding.count, finding.total) == ("error", 1, 2)
    assert finding.examples == ("train.jsonl:2 (3,000 tokens)",)
    assert "3,000" in finding.remedy


@pytest.mark.parametrize("code", ["answer_cut_away", "answer_cut", "too_long"])
def test_pain_01_no_length_is_advised_that_the_model_has_no_positions_for(code: str) -> None:
    if code == "answer_cut":
        sequences, lost = [rendered(1), rendered(2, cut_completion=3000), rendered(3, cut_completion=90)], ()
    else:
        long = dropped(2, "answer cut away" if code == "answer_cut_away" else "too long")
        sequences, lost = [rendered(1)], (long, replace(long, num_tokens=100))
    some = clean(rendered_train=a_set(sequences, dropped=lost), max_positions=2048)
    told = the(code, some).remedy
    assert re.search(
        r"positions for 2,048 tokens, too few for 1 of 2 .*split .*max_length to \d\d\d? for the others", told
    )
    assert "Raise data.max_length (" in the(code, replace(some, max_positions=4096)).remedy
    all_beyond = the(code, replace(some, max_positions=50)).remedy
    assert "too few for 2 of 2" in all_beyond
    assert "max_length" not in all_beyond


def test_pain_02_long_rows_that_were_dropped_are_counted_with_their_places() -> None:
    rendering = a_set([rendered(n) for n in range(1, 20)], dropped=(dropped(20, "too long"),))
    finding = the("too_long", clean(rendered_train=rendering))
    assert (finding.severity, finding.count, finding.total, finding.examples) == (
        "note",
        1,
        20,
        ("train.jsonl:20 (3,000 tokens)",),
    )
    assert the("too_long", clean(rendered_train=rendering, config=ChecksConfig(max_cut=0))).severity == "warning"


def test_pain_11_an_answer_that_the_template_refuses_is_listed_with_the_templates_own_words() -> None:
    error = DataError('the chat template refuses: "No user query found"', where="train.jsonl:3: message 2")
    finding = the("unrenderable_turn", clean(bad_turns=(error,)))
    assert (finding.severity, finding.count, finding.total) == ("error", 1, 21)
    assert "No user query" in finding.examples[0]
    assert the("unrenderable_turn", clean(bad_turns=(error,), skips_bad_rows=True)).severity == "note"


def test_pain_10_reasoning_that_the_template_does_not_write_is_said() -> None:
    left = (LeftOut(origin=Origin(path="train.jsonl", line=3), turn=1, part="reasoning"),)
    finding = the("reasoning_left_out", clean(rendered_train=a_set([rendered(1), rendered(3)], left_out=left)))
    assert (finding.count, finding.examples) == (1, ("train.jsonl:3",))


def test_pain_01_cut_answers_are_counted_and_warned_of_above_the_threshold() -> None:
    cut = rendered(1, cut_completion=7, ends=False)
    few = of_sequences([cut, *(rendered(n, prompt=(1, n)) for n in range(2, 21))])
    finding = the("answer_cut", few)
    assert (finding.severity, finding.count, finding.total) == ("note", 1, 20)
    assert "7 tokens" in finding.summary
    assert the("answer_cut", replace(few, config=ChecksConfig(max_cut=0.04))).severity == "warning"


def test_pain_03_a_set_whose_answers_never_end_blocks() -> None:
    finding = the("eos_never_trained", of_sequences([rendered(1, ends=False), rendered(2, ends=False)]))
    assert (finding.severity, finding.count) == ("error", 2)
    assert the("eos_never_trained", of_sequences([rendered(1, ends=False), rendered(2)])).severity == "note"


def test_an_answer_that_was_cut_is_told_of_once_while_others_end() -> None:
    cut = rendered(1, ends=False, cut_completion=3)
    assert "eos_never_trained" not in check(of_sequences([cut, rendered(2)])).codes()
    assert the("eos_never_trained", of_sequences([cut])).severity == "error"


def test_plain_text_that_does_not_end_is_no_finding() -> None:
    assert "eos_never_trained" not in check(of_sequences([rendered(1, prompt=(), turn=-1, ends=False)])).codes()


@pytest.mark.parametrize(("prompt", "completion"), [((1, 1, 5), (6,)), ((1,), (1, 5)), ((), (1, 1))])
def test_pain_09_a_doubled_bos_blocks(prompt: tuple[int, ...], completion: tuple[int, ...]) -> None:
    of = of_sequences([rendered(1, prompt, completion)], bos_id=1)
    assert the("doubled_bos", of).severity == "error"
    assert "doubled_bos" not in check(replace(of, bos_id=None)).codes()
    assert "doubled_bos" not in check(replace(of, bos_id=5)).codes()


def test_words_that_look_like_control_tokens_are_counted() -> None:
    there = a_set([rendered(1)], look_alikes=(Origin(path="train.jsonl", line=3),))
    assert the("control_token_in_text", clean(rendered_train=there)).examples == ("train.jsonl:3",)


def test_a_torn_seam_is_counted() -> None:
    assert the("seam", of_sequences([rendered(1, seam=True), rendered(2)])).count == 1


def test_a_warm_up_that_never_ends_is_reported_only_if_the_scheduler_warms_up() -> None:
    finding = the("warmup_longer_than_run", clean(planned=replace(RUN, num_warmup_steps=100)))
    assert finding.severity == "warning"
    assert "warmup_longer_than_run" not in check(clean(planned=replace(RUN, num_warmup_steps=99))).codes()
    never = replace(RUN, num_warmup_steps=400, uses_warmup=False)
    assert "warmup_longer_than_run" not in check(clean(planned=never)).codes()


def test_saving_between_evaluations_is_reported_if_the_best_is_kept() -> None:
    odd = replace(RUN, save_steps=30)
    assert the("save_steps_not_multiple", clean(planned=odd)).severity == "warning"
    for harmless in (replace(odd, keeps_best=False), replace(odd, evaluates=False)):
        assert "save_steps_not_multiple" not in check(clean(planned=harmless)).codes()


def test_a_step_larger_than_the_data_is_said() -> None:
    assert the("too_few_for_settings", clean(planned=replace(RUN, examples_per_step=21))).severity == "warning"
    assert "too_few_for_settings" not in check(clean(planned=replace(RUN, examples_per_step=20))).codes()


def test_a_run_that_ends_before_its_second_evaluation_is_said() -> None:
    assert "100" in the("evaluated_once", clean(planned=replace(RUN, eval_steps=120, save_steps=120))).summary
    assert "evaluated_once" not in check(clean(planned=replace(RUN, evaluates=False, eval_steps=120))).codes()


def test_findings_come_gravest_first_and_ignoring_needs_its_reason() -> None:
    of = clean(train=chats(5), train_samples=9, num_train_found=5)
    found = check(of)
    assert [finding.severity for finding in found] == ["error", "note"]
    assert found.blocking.codes() == ("too_few_rows",)
    waved_through = replace(of, config=ChecksConfig(ignore={"too_few_rows": "a smoke test"}))
    assert not check(waved_through).blocking.items
    assert the("too_few_rows", waved_through).ignored == "a smoke test"


def test_a_warning_stops_only_where_warnings_fail() -> None:
    of = of_sequences([rendered(1, cut_completion=7), rendered(2)])
    assert "answer_cut" not in check(of).blocking.codes()
    assert "answer_cut" in check(replace(of, config=ChecksConfig(fail_on="warning"))).blocking.codes()


def test_every_finding_says_why_and_what_to_do() -> None:
    lonely = Conversation(messages=(Message(role="user", content="?"),), origin=Origin(path="a", line=1))
    of = context(
        train=[chat(1), chat(1), chat(2, "question 1", "x"), chat(3, answer=" "), lonely],
        held_out=[chat(9, "question 1")],
        rendered_train=a_set(
            [
                rendered(1, (1, 1), seam=True, ends=False, cut_completion=1),
                rendered(2, completion=()),
                rendered(3, ends=False),
            ],
            dropped=(dropped(4, "answer cut away"), dropped(5, "too long")),
            left_out=(LeftOut(origin=Origin(path="train.jsonl", line=3), turn=1, part="content"),),
            look_alikes=(Origin(path="train.jsonl", line=3),),
        ),
        bad_rows=(DataError("broken"),),
        bad_turns=(DataError("refused"),),
        bos_id=1,
        num_train_found=5,
        train_samples=6,
        planned=replace(RUN, num_warmup_steps=200, save_steps=30, eval_steps=128, examples_per_step=99),
    )
    found = check(of)
    assert len(set(found.codes())) == len(found) == 22
    for finding in found:
        assert finding.summary, finding.code
        assert finding.why.endswith("."), finding.code
        assert finding.remedy.endswith("."), finding.code
        assert len(finding.examples) <= 3


def test_a_sequence_beyond_the_positions_of_the_model_blocks() -> None:
    long = of_sequences([rendered(1, range(30)), rendered(2)], max_positions=16)
    (finding,) = [each for each in check(long) if each.code == "beyond_positions"]
    assert (finding.severity, finding.count) == ("error", 1)
    assert "32 tokens" in finding.examples[0]
    assert "beyond_positions" not in check(of_sequences([rendered(1)], max_positions=16)).codes()
    assert "beyond_positions" not in check(of_sequences([rendered(1, range(30))])).codes()

"""What a chat template does with reasoning is told with the number of answers that it concerns."""

import pytest
from check_contexts import a_set, chats, context, rendered

from tunelab.checks.check import check
from tunelab.rendering.rendered import Remark
from tunelab.sources import Origin


@pytest.mark.parametrize(
    ("kind", "code"), [("empty reasoning", "empty_reasoning"), ("earlier reasoning", "earlier_reasoning_dropped")]
)
def test_pain_10_what_becomes_of_reasoning_is_a_note_with_count_and_place(kind: str, code: str) -> None:
    remark = Remark(origin=Origin(path="train.jsonl", line=2), turn=1, kind=kind)  # type: ignore[arg-type]
    of = context(train=chats(20), rendered_train=a_set([rendered(1), rendered(2)], remarks=(remark,)))
    (finding,) = check(of)
    assert (finding.code, finding.severity, finding.count, finding.total) == (code, "note", 1, 2)
    assert finding.examples == ("train.jsonl:2",)
    assert finding.why.endswith(".")
    assert finding.remedy.endswith(".")

"""How tunelab, transformers and trl's training templates differ, as docs/concepts/chat-templates.md prints it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from family_cases import CASES
from trl_families import NAMES

EVERY = "every case"
CONTROL_WORDS = "control words"
"""The case of strings of control tokens among what is said."""
OF_TEXTS = {
    "no space mark before such words",
    "such words are encoded apart",
    "such words shield white space",
    "seam",
    "marks the end of the prompt",
    "refused by both",  # Qwen 3.5 and 3.6 take a question that is `<tool_response></tool_response>` for no question
    "not trained: the template reads such words",
}
"""What such strings, and an answer that begins with white space, can bring about in any family."""

_NEMOTRON = " ".join(name for name in NAMES if name.startswith("nemotron"))
_GEMMA4 = " ".join(name for name in NAMES if name.startswith("gemma4"))
_LLAMA3 = "llama3 llama3_1 llama3_2"
_QWEN3_THINKS = "qwen3_5_think qwen3_6 qwen3_8"
_CHATML = "lfm2 lfm2_2_5 lfm2_2_5_v2 lfm2_2_5_vl lfm2_v2 qwen2_5_vl qwen3_instruct_2507 qwen3_vl"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One way in which they differ, in one group of families."""

    kind: str
    """As `family_proof` names it."""
    families: str
    """Names of templates, with spaces between."""
    cases: str = EVERY
    """Names of cases, with semicolons between; or `every case` in which there is such an answer at all."""
    but: str = ""
    """Of `every case`, those in which it does not appear."""
    right: str
    """Who is right, and why."""
    finding: str = ""
    """What `tunelab check` says; empty where nobody is hurt."""

    def where(self, asked: Iterable[str], trained: Iterable[str]) -> set[str]:
        """Return the cases, out of those with an answer that transformers renders, and with one that is trained."""
        if self.cases != EVERY:
            return set(self.cases.split("; "))
        every = set(asked if self.kind.startswith("not trained") else trained)
        # transformers cannot keep such words apart and return a mask at once
        unmarked = {CONTROL_WORDS} if self.kind.startswith(("marks", "history")) else set()
        return every - unmarked - set(self.but.split("; "))


_PROMPT_IS_SENT = "the rule: serving sends that part, the model never writes it"
_OPENS = "the rule refuses: the model would learn a turn that never comes. "

KNOWN = (
    Difference(
        kind="no prompt",
        families=" ".join(NAMES),
        cases="greeting",
        right="all agree: transformers renders no empty conversation, so such an answer has no prompt",
        finding="unrenderable_turn",
    ),
    Difference(
        kind="refused by both",
        families="cohere cohere2 gemma gemma3",
        cases="greeting",
        right="all agree: the template requires user and assistant in turn",
        finding="unrenderable_turn",
    ),
    Difference(
        kind="refused by both",
        families="llama3_1 llama3_2",
        cases="calls",
        right="all agree: the template writes one call a message",
        finding="unrenderable_turn",
    ),
    Difference(
        kind="not trained: no continuation",
        families="deepseek_r1_distill deepseekv3",
        right=_OPENS
        + "The prompt opens `<think>`, the template cuts every thought out of an answer. Name a template that keeps "
        "them",
        finding="generation_prompt_mismatch",
    ),
    Difference(
        kind="not trained: no continuation",
        families=_NEMOTRON,
        but="reasoning; reasoning and call",
        right=_OPENS + "The prompt opens `<think>`, an answer without a thought begins `<think></think>`. "
        "`chat_template_kwargs: {enable_thinking: false}` opens it alike",
        finding="generation_prompt_mismatch",
    ),
    Difference(
        kind="not trained: no continuation",
        families="qwen3_5_nothink",
        cases="reasoning; some reasoning; reasoning and call; tags",
        right=_OPENS
        + "The prompt closes the block of thoughts. `chat_template_kwargs: {enable_thinking: true}` leaves it open",
        finding="generation_prompt_mismatch",
    ),
    Difference(
        kind="not trained: no continuation",
        families="diffusion_gemma gemma4_v5",
        cases="words and call",
        right=_OPENS
        + "Words next to a call close the turn in the prompt, and do not once the answer follows. Leave these words "
        "out",
        finding="generation_prompt_mismatch",
    ),
    Difference(
        kind="not trained: the template reads such words",
        families=f"diffusion_gemma {_GEMMA4}",
        cases=CONTROL_WORDS,
        right="the rule refuses: the template takes `<|channel>` and `<channel|>` in an answer for thoughts and cuts "
        "between them",
        finding="unrenderable_turn",
    ),
    Difference(
        kind="thoughts kept in the prompt",
        families="gptoss",
        cases="words and call; reasoning and call",
        right="the rule: the template drops thoughts before a call once the final answer is there; serving sends them",
    ),
    Difference(
        kind="history written otherwise",
        families="gptoss",
        cases="words and call; reasoning and call",
        right="the rule, same reason",
    ),
    Difference(
        kind="history written otherwise",
        families="qwen3",
        but="reasoning and call",
        right="the rule: trl's template writes a block of thoughts into each earlier answer, the model's does not",
        finding="earlier_reasoning_dropped",
    ),
    Difference(
        kind="history written otherwise",
        families="qwen3_5_nothink",
        but="calls; words and call; nulls",
        right="the rule, same reason",
        finding="earlier_reasoning_dropped",
    ),
    Difference(
        kind="history written otherwise",
        families="qwen3_5_think qwen3_6",
        cases="reasoning; some reasoning",
        right="the rule, same reason",
        finding="earlier_reasoning_dropped",
    ),
    Difference(
        kind="seam",
        families=_QWEN3_THINKS,
        but="reasoning; reasoning and call",
        right="the rule: the prompt ends with `<think>` and a line end, an answer without a thought goes on with "
        "another; "
        "transformers joins both into one token, which no prompt ends with",
        finding="seam, empty_reasoning",
    ),
    Difference(
        kind="seam",
        families=f"{_CHATML} qwen2_5",
        cases="spaces",
        right="the rule: the answer begins with line ends, which transformers joins with that of the prompt",
        finding="seam",
    ),
    Difference(
        kind="marks the end of the prompt",
        families="qwen2_5",
        right=f"{_PROMPT_IS_SENT} (a line end)",
    ),
    Difference(
        kind="marks the end of the prompt",
        families="gptoss muse_glimmer",
        right=f"{_PROMPT_IS_SENT} (`<|start|>assistant`)",
    ),
    Difference(
        kind="marks the end of the prompt",
        families=f"{_NEMOTRON} {_QWEN3_THINKS} qwen3_5_nothink",
        right=f"{_PROMPT_IS_SENT} (`<think>`, and if thinking is off the empty block)",
    ),
    Difference(
        kind="marks the end of the prompt",
        families=f"{_CHATML}",
        cases="spaces",
        right="the rule: the mark takes in the token that is joined at the seam",
    ),
    Difference(
        kind="marks the end of the prompt",
        families="phi3 phi3_5",
        cases="spaces",
        right="the rule: `<|assistant|>` swallows the white space after it, and the mark with it",
    ),
    Difference(
        kind="marks the line end",
        families=f"gemma gemma3 idefics3 {_CHATML} {_NEMOTRON} qwen2_5 qwen3 {_QWEN3_THINKS} qwen3_5_nothink smolvlm",
        right="the rule: the end of turn stops the model, which never writes what a template appends",
    ),
    Difference(
        kind="marks the line end",
        families="diffusion_gemma",
        but="words and call",
        right="the rule, same reason",
    ),
    Difference(
        kind="marks what comes after the end",
        families="phi3 phi3_5",
        right="the rule: `<|end|>` stops the answer; `<|endoftext|>` comes after the last answer alone",
    ),
    Difference(
        kind="marks no token that hands over to a tool",
        families="diffusion_gemma",
        cases="call; calls; words and call; nulls; reasoning and call",
        right="the rule: `<|tool_response>` is what an engine stops at; the template writes it after a call",
    ),
    Difference(
        kind="marks no opening that the prompt lacks",
        families="diffusion_gemma",
        cases="call; calls; nulls; reasoning and call",
        right="the mark is nearer to the model: after a result the prompt does not open a turn, the stored answer "
        "does; "
        "trained is what the template sends",
    ),
    Difference(
        kind="marks not all bytes of a character",
        families="diffusion_gemma",
        cases="unicode",
        right="the rule: transformers finds the first byte of a mark's last character, not the others",
    ),
    Difference(
        kind="end appended",
        families="glm4moe",
        right="all agree: the template ends no answer; the token that opens the next turn is appended, as trl's "
        "template marks it",
        finding="end_of_turn_added",
    ),
    Difference(
        kind="reasoning left out",
        families="cohere cohere2 gemma gemma3 gemma4 gemma4_v2 gemma4_v3 gemma4_v4 idefics3 lfm2 lfm2_v2 llama3 "
        "llama3_1 llama3_2 llava_next phi3 phi3_5 qwen2_5 qwen2_5_vl qwen3_instruct_2507 qwen3_vl smolvlm",
        cases="reasoning; some reasoning; reasoning and call",
        right="all agree: the template does not write thoughts, or not after the last question",
        finding="reasoning_left_out",
    ),
    Difference(
        kind="content left out",
        families="llama3_1 llama3_2 muse_glimmer",
        cases="words and call",
        right="all agree: the template writes a call without the words next to it",
        finding="content_left_out",
    ),
    Difference(
        kind="content left out",
        families=f"diffusion_gemma {_GEMMA4}",
        cases=CONTROL_WORDS,
        right="all agree: the template takes `<channel|>` in an answer for the end of thoughts",
        finding="content_left_out",
    ),
    Difference(
        kind="such words are encoded apart",
        families=f"glm4moe gptoss idefics3 {_CHATML} {_LLAMA3} muse_glimmer qwen2_5 qwen3 "
        f"{_QWEN3_THINKS} qwen3_5_nothink",
        cases=CONTROL_WORDS,
        right="the rule: white space before such words is encoded with them, as before any words",
        finding="control_token_in_text",
    ),
    Difference(
        kind="no space mark before such words",
        families=f"phi3 phi3_5 diffusion_gemma {_GEMMA4}",
        cases=CONTROL_WORDS,
        right="the rule: words that look like a control token are encoded as any words in that place",
        finding="control_token_in_text",
    ),
)


def expected(family: str, asked: Iterable[str], trained: Iterable[str]) -> Mapping[str, set[str]]:
    """Return the kinds of differences of a family, each with its cases, as `Difference.where` names them."""
    kinds: dict[str, set[str]] = {}
    for known in KNOWN:
        if family in known.families.split():
            kinds.setdefault(known.kind, set()).update(known.where(asked, trained))
    return kinds


def table() -> str:
    """Return the known differences as docs/concepts/chat-templates.md shows them."""
    lines = ["| what differs | templates | in | who is right | `tunelab check` |", "|---|---|---|---|---|"]
    for known in KNOWN:
        names = "all" if set(known.families.split()) == set(NAMES) else ", ".join(known.families.split())
        cases = known.cases.replace("; ", ", ") + (f" but {known.but.replace('; ', ', ')}" if known.but else "")
        finding = ", ".join(f"`{code}`" for code in known.finding.split(", ")) if known.finding else ""
        right = known.right.replace("|", "\\|")
        lines.append(f"| {known.kind} | {names} | {cases} | {right} | {finding} |")
    return "\n".join(lines)


assert {case for known in KNOWN for case in known.where([], [])} <= {*CASES, CONTROL_WORDS}

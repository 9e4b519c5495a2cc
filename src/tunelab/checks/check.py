"""The checks: each looks at the context and says what is wrong with it. None changes anything."""

from collections.abc import Callable, Iterator

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding, Findings
from tunelab.checks.rules.base_model import MODEL_CHECKS
from tunelab.checks.rules.conversations import CONVERSATION_CHECKS
from tunelab.checks.rules.labels import LABEL_CHECKS
from tunelab.checks.rules.near_duplicates import COPY_CHECKS
from tunelab.checks.rules.planned_run import PLAN_CHECKS
from tunelab.checks.rules.privacy import PRIVACY_CHECKS
from tunelab.checks.rules.quality import QUALITY_CHECKS
from tunelab.checks.rules.reasoning import RENDERING_CHECKS
from tunelab.checks.rules.roles import ROLE_CHECKS
from tunelab.checks.rules.template import TEMPLATE_CHECKS
from tunelab.checks.rules.tokens import TOKEN_CHECKS
from tunelab.checks.rules.tools import TOOL_CHECKS

Check = Callable[[CheckContext], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    *CONVERSATION_CHECKS,
    *ROLE_CHECKS,
    *TOOL_CHECKS,
    *PRIVACY_CHECKS,
    *QUALITY_CHECKS,
    *COPY_CHECKS,
    *LABEL_CHECKS,
    *TEMPLATE_CHECKS,
    *TOKEN_CHECKS,
    *RENDERING_CHECKS,
    *PLAN_CHECKS,
    *MODEL_CHECKS,
)


def check(context: CheckContext) -> Findings:
    """Return what is wrong, the gravest first; empty where all is well."""
    return Findings.sorted((finding for look in CHECKS for finding in look(context)), context.config)

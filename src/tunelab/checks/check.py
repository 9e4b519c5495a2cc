"""The checks: each looks at the material and says what is wrong with it. None changes anything."""

from collections.abc import Callable, Iterator

from tunelab.checks.finding import Finding, Findings
from tunelab.checks.material import Material
from tunelab.checks.on_conversations import CONVERSATION_CHECKS
from tunelab.checks.on_copies import COPY_CHECKS
from tunelab.checks.on_labels import LABEL_CHECKS
from tunelab.checks.on_model import MODEL_CHECKS
from tunelab.checks.on_plan import PLAN_CHECKS
from tunelab.checks.on_privacy import PRIVACY_CHECKS
from tunelab.checks.on_quality import QUALITY_CHECKS
from tunelab.checks.on_rendering import RENDERING_CHECKS
from tunelab.checks.on_roles import ROLE_CHECKS
from tunelab.checks.on_template import TEMPLATE_CHECKS
from tunelab.checks.on_tokens import TOKEN_CHECKS
from tunelab.checks.on_tools import TOOL_CHECKS

Check = Callable[[Material], Iterator[Finding]]

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


def check(material: Material) -> Findings:
    """Return what is wrong, the gravest first; empty where all is well."""
    return Findings.sorted((finding for look in CHECKS for finding in look(material)), material.config)

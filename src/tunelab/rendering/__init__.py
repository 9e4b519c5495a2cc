"""Room of the renderer: a conversation becomes prompt ids and completion ids. The one room that knows templates."""

from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load import load_renderer
from tunelab.rendering.render_all import render_all
from tunelab.rendering.rendered import Dropped, DropReason, LeftOut, Rendered, RenderedSet, TokenIds
from tunelab.rendering.renderer import Renderer
from tunelab.rendering.show import Span, preview, to_rich

__all__ = [
    "DropReason",
    "Dropped",
    "LeftOut",
    "Rendered",
    "RenderedSet",
    "Renderer",
    "RenderingConfig",
    "Span",
    "TokenIds",
    "load_renderer",
    "preview",
    "render_all",
    "to_rich",
]

"""Django's templates: a span per page that is rendered; what it includes and the widgets of forms are part of it."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from .django_wsgi import TRACER

current_span = _core.current_span


def install(module: Any) -> None:
    template = module.Template
    render = template.render

    @functools.wraps(render)
    def traced_render(self: Any, context: Any) -> Any:
        name = self.name
        if (
            current_span() is None
            or context.template is not None
            or (name is not None and name.startswith("django/forms/"))
        ):
            return render(self, context)
        with TRACER.start_as_current_span(
            f"render {name or 'template'}", attributes={"template.name": name}
        ):
            return render(self, context)

    template.render = traced_render

"""Pages from templates, with the one style of all pages."""

from pathlib import Path
from typing import Any

STYLE = Path(__file__).parent / "templates" / "style.css"


def render(template: Path, **values: Any) -> str:
    """A page as text; values are escaped, and one that the template lacks is an error.

    Args:
        template: its file, beside those that it includes.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["points"] = lambda value: f"{round(value, 1) + 0.0:.1f}"
    style = STYLE.read_text(encoding="utf-8")
    return environment.get_template(template.name).render(style=style, **values)

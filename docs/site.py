"""What the site needs beside docs/*.md: README.md as its first page, and equations as MathML.

Neither asks for a script or a network when a page is read. mkdocs calls these functions.
"""

import html
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

TOP = Path(__file__).parents[1]
EQUATION = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.S)


def on_files(files: Files, config: Any) -> Files:
    """The files of the site, with README.md as its first page."""
    readme = (TOP / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=readme))
    return files


def on_page_content(content: str, **_: Any) -> str:
    """The page with its equations as browsers show them by themselves."""

    def mathml(found: re.Match) -> str:
        alone = found[1] == "div"
        made = convert(html.unescape(found[2]), display="block" if alone else "inline")
        return f"<p>{made}</p>" if alone else made

    return EQUATION.sub(mathml, content)

"""Text for LaTeX."""

import math
import re

__all__ = ["escape", "number"]

SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": "$-$",
    "±": r"$\pm$", "×": r"$\times$", "≥": r"$\geq$", "∞": r"$\infty$", "<": "$<$", ">": "$>$", "|": r"\textbar{}",
} | {c: rf"\{c}" for c in "&%$#_{}"}  # fmt: skip


def escape(text: object) -> str:
    r"""Any text as LaTeX prints it; what has no letter there becomes a question mark.

    >>> escape("dual_plain: 5 % & more")
    'dual\\_plain: 5 \\% \\& more'
    """
    known = re.sub(r"[^\x20-\x7e\u00a0-\u017f–−±×≥∞]", "?", str(text))
    return "".join(SPECIAL.get(c, c) for c in known)


def number(text: str | float | None) -> str:
    """A number with a minus that is one; a dash where there is none.

    >>> number("-0.4"), number(None)
    ('$-0.4$', '--')
    """
    if text is None or (isinstance(text, float) and math.isnan(text)):
        return "--"
    text = str(text)
    return f"${text}$".replace("∞", r"\infty") if text[:1] in "+-" else escape(text)

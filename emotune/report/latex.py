"""Text escaped for LaTeX."""

import re

__all__ = ["escape", "escape_with_numbers"]

SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": "$-$",
    "±": r"$\pm$", "×": r"$\times$", "≥": r"$\geq$", "∞": r"$\infty$", "<": "$<$", ">": "$>$", "|": r"\textbar{}",
} | {c: rf"\{c}" for c in "&%$#_{}"}  # fmt: skip
SIGNED_NUMBER = re.compile(r"(?<![\w.])[+−-](?:\d[\d.]*|∞)")


def escape(text: object) -> str:
    r"""A text as LaTeX prints it; a character that LaTeX has no letter for becomes a question mark.

    >>> escape("dual_plain: 5 % & more")
    'dual\\_plain: 5 \\% \\& more'
    """
    printable = re.sub(r"[^\x20-\x7e\u00a0-\u017f–−±×≥∞]", "?", str(text))
    return "".join(SPECIAL.get(c, c) for c in printable)


def escape_with_numbers(text: str) -> str:
    """A text as LaTeX prints it, with signed numbers and lone minus signs in math mode, so that these are no hyphens.

    >>> escape_with_numbers("a - b"), escape_with_numbers("−0.4 to +2.0")
    ('a $-$ b', '$-0.4$ to $+2.0$')
    """
    parts, end = [], 0
    for match in SIGNED_NUMBER.finditer(text):
        parts += [escape(text[end : match.start()]), "$" + match[0].replace("−", "-").replace("∞", r"\infty") + "$"]
        end = match.end()
    return "".join([*parts, escape(text[end:])]).replace(" - ", " $-$ ")

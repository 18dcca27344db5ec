"""Templates in the noun of the samples that are spoken of (`emotune.core.sample_noun`)."""

import re
from collections.abc import Iterable

from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from emotune.core.sample_noun import worded

__all__ = ["TemplateWords"]

TEXTS = (".html", ".md", ".tex")
"""The endings of the templates that hold text for readers."""


class TemplateWords(Extension):
    """Words the text of templates, which is written for images: what stands between tags, and strings of several words.

    What variables hold stays as it is.
    """

    def filter_stream(self, stream: TokenStream) -> TokenStream | Iterable[Token]:
        return self._worded(stream) if (stream.name or "").endswith(TEXTS) else stream

    def _worded(self, stream: TokenStream) -> Iterable[Token]:
        in_tag = False
        for token in stream:
            value = token.value
            if token.type == "data":
                parts = re.split(r"([<>])", value) if (stream.name or "").endswith(".html") else [value]
                for number, part in enumerate(parts):
                    if part in "<>":
                        in_tag = part == "<"
                    elif not in_tag:
                        parts[number] = worded(part)
                value = "".join(parts)
            elif token.type == "string" and " " in value.strip():
                value = worded(value)
            yield Token(token.lineno, token.type, value)

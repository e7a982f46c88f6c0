"""Writes a style sheet into the tags of a template source, once, when the template is loaded.

Many mail readers drop ``<style>``. Inlining each rendered message costs time for every message, and a template
source is no HTML that a parser could take in whole: it would move Jinja's tags out of tables. So each start tag
is looked at by itself: css-inline says which declarations the sheet gives to such an element, and they become
its style attribute. That is exact as long as a rule depends on nothing but the element's name and classes; other
rules are refused.
"""

from __future__ import annotations

import re
from typing import Final

from css_inline import CSSInliner

_TAG: Final = re.compile(r"<(?P<name>[a-z][a-z0-9]*)(?P<rest>(?:\s+[\w:.-]+(?:=\"[^\"]*\")?)*)(?P<end>\s*/?>)")
_CLASSES: Final = re.compile(r"\sclass=\"([^\"]*)\"")
_STYLE: Final = re.compile(r"\sstyle=\"([^\"]*)\"")
_PROBED: Final = re.compile(r"<[^>]*\sdata-probe[^>]*>")
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE: Final = re.compile(r"([^{}]*)\{[^{}]*\}")
_PLAIN_SELECTOR: Final = re.compile(r"[a-z][a-z0-9]*(?:\.[\w-]+)*|(?:\.[\w-]+)+")
_NO_ELEMENT: Final = frozenset({"html", "head", "meta", "title", "style", "link", "script"})

# An HTML parser drops these outside their parents.
_AROUND: Final = {
    "td": ("<table><tbody><tr>", "</tr></tbody></table>"),
    "th": ("<table><tbody><tr>", "</tr></tbody></table>"),
    "tr": ("<table><tbody>", "</tbody></table>"),
    "tbody": ("<table>", "</table>"),
    "thead": ("<table>", "</table>"),
    "li": ("<ul>", "</ul>"),
}


class StyleError(ValueError):
    """A style sheet or template that cannot be inlined without loss; the message names the rule or tag."""


class StyleInliner:
    """Knows one style sheet; gives every start tag of a source the style that the sheet has for it."""

    def __init__(self, css: str) -> None:
        bare = _COMMENT.sub("", css)
        if "@" in bare:
            raise StyleError("rules with @ cannot be inlined: they belong in screens.css")
        for selectors in _RULE.findall(bare):
            for selector in selectors.split(","):
                if not _PLAIN_SELECTOR.fullmatch(selector.strip()):
                    raise StyleError(f"'{selector.strip()}' cannot be inlined: name an element, classes or both")
        self._inliner = CSSInliner(inline_style_tags=False, extra_css=bare, minify_css=True)
        self._known: dict[tuple[str, str], str] = {}

    def apply(self, source: str) -> str:
        """The source with style attributes. Line breaks stay, so that errors keep their line numbers."""
        return _TAG.sub(self._styled, source)

    def _styled(self, tag: re.Match[str]) -> str:
        name, rest, end = tag["name"], tag["rest"], tag["end"]
        if name in _NO_ELEMENT:
            return tag[0]
        found = _CLASSES.search(rest)
        classes = found[1] if found else ""
        if "{" in classes:
            raise StyleError(f"the class of <{name}> is computed ({classes}): its style cannot be known beforehand")
        style = self._style_of(name, classes)
        if not style:
            return tag[0]
        own = _STYLE.search(rest)
        if own:
            rest, style = rest[: own.start()] + rest[own.end() :], f"{style};{own[1]}"
        return f'<{name}{rest} style="{style}"{end}'

    def _style_of(self, name: str, classes: str) -> str:
        key = (name, classes)
        if key not in self._known:
            before, after = _AROUND.get(name, ("", ""))
            probe = f'{before}<{name} data-probe class="{classes}"></{name}>{after}'
            page = f"<html>{probe}</html>" if name == "body" else f"<html><body>{probe}</body></html>"
            element = _PROBED.search(self._inliner.inline(page))
            if element is None:
                raise StyleError(f"<{name}> is no element that a message can hold")
            style = _STYLE.search(element[0])
            self._known[key] = style[1].strip().rstrip(";") if style else ""
        return self._known[key]

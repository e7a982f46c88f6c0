"""How templates are found, filled in and refused; what they say is tested in test_templates."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest
from css_inline import CSSInliner

from lifecycle_jobs.data import data_folder
from lifecycle_jobs.mail.contents import (
    LOCALES,
    MESSAGE_KINDS,
    ChargeDeclinedLine,
    Content,
    DeletedLine,
    Holder,
    Locale,
    MessageKind,
    SuspendedLine,
)
from lifecycle_jobs.mail.inline import StyleError, StyleInliner
from lifecycle_jobs.mail.methods import MethodKind, PaymentMethodText
from lifecycle_jobs.mail.render import PART_FILES, Part, Problem, Renderer, RenderError, one_line
from lifecycle_jobs.mail.samples import SAMPLES
from lifecycle_jobs.mail.words import WordsError, read_words

SUSPENDED = SAMPLES["box.suspended"][0]


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The operator's folder."""
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A copy of the shipped templates that a test may damage."""
    return Path(shutil.copytree(data_folder("templates"), tmp_path / "shipped"))


def put(folder: Path, path: str, text: str) -> None:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def named(name: str, kind: MessageKind = "box.suspended") -> Content:
    return replace(SAMPLES[kind][0], holder=Holder(name, "zoe@example.com"))


# An operator's files


def test_a_file_of_the_operator_replaces_the_shipped_one_and_only_that(renderer: Renderer, own: Path) -> None:
    put(own, "box.suspended/it/subject.txt", "Attenzione: {{ first.address }}")

    ours, shipped = Renderer(own).render(SUSPENDED, "it"), renderer.render(SUSPENDED, "it")

    assert ours.subject == "Attenzione: mario.rossi@pec.example.it"
    assert (ours.text, ours.html) == (shipped.text, shipped.html)
    assert Renderer(own).render(SUSPENDED, "en") == renderer.render(SUSPENDED, "en")


def test_the_operator_may_reword_what_all_messages_share(own: Path) -> None:
    layout = (data_folder("templates") / "_base/it/layout.txt").read_text("utf-8")
    put(own, "_base/it/layout.txt", layout.replace("Cordiali saluti", "Un cordiale saluto"))

    assert "Un cordiale saluto," in Renderer(own).render(SUSPENDED, "it").text


def test_the_operators_style_sheet_is_written_into_the_tags(own: Path) -> None:
    put(own, "_base/style.css", "h1 { color: #123456; }")

    assert '<h1 style="color:#123456' in Renderer(own).render(SUSPENDED, "it").html


# What is refused


@pytest.mark.parametrize("part", ["subject", "text", "html"])
def test_an_undefined_name_is_refused_and_its_file_named(own: Path, part: Part) -> None:
    path = f"box.suspended/it/{PART_FILES[part]}"
    put(own, path, "one\n{{ nonsense }}")

    with pytest.raises(RenderError, match="nonsense") as refused:
        Renderer(own).render(SUSPENDED, "it")

    assert refused.value.problem == Problem(path, 2, "'nonsense' is undefined")


def test_a_misspelt_field_of_a_line_is_refused(own: Path) -> None:
    put(own, "box.suspended/it/subject.txt", "{{ first.adress }}")

    with pytest.raises(RenderError, match="adress"):
        Renderer(own).render(SUSPENDED, "it")


def test_a_message_that_cannot_be_rendered_does_not_disturb_the_next(own: Path) -> None:
    put(own, "box.suspended/it/subject.txt", "{{ nonsense }}")
    renderer = Renderer(own)

    with pytest.raises(RenderError):
        renderer.render(SUSPENDED, "it")

    assert renderer.render(SUSPENDED, "en").subject
    assert renderer.render(SAMPLES["box.deleted"][0], "it").subject


def test_a_message_without_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="without lines"):
        replace(SUSPENDED, lines=())


def test_a_line_of_another_kind_of_message_is_refused() -> None:
    stray = DeletedLine("a@pec.example.it", "Standard", date(2027, 3, 31), date(2027, 6, 30))

    with pytest.raises(TypeError, match="SuspendedLine, not DeletedLine"):
        replace(SUSPENDED, lines=(stray,))


# What the check at start-up finds


def test_check_finds_nothing_wrong_with_the_shipped_templates(renderer: Renderer) -> None:
    assert renderer.check() == []


def test_check_names_every_file_of_a_missing_locale(shipped: Path) -> None:
    shutil.rmtree(shipped / "box.deleted" / "en")

    assert Renderer(shipped=shipped).check() == [
        Problem(f"box.deleted/en/{file}", None, "this file is missing") for file in PART_FILES.values()
    ]


def test_check_names_the_file_and_line_of_an_error_of_syntax(own: Path) -> None:
    put(own, "box.deleted/en/body.txt", "one\n{% if %}")

    (problem,) = Renderer(own).check()

    assert (problem.file, problem.line) == ("box.deleted/en/body.txt", 2)
    assert str(problem).startswith("box.deleted/en/body.txt:2: ")


def test_check_finds_an_unknown_name_in_a_branch_that_no_sample_takes(own: Path) -> None:
    put(own, "box.deleted/en/subject.txt", "x{% if first.address == 'nobody' %}{{ nonsense }}{% endif %}")

    (problem,) = Renderer(own).check()

    assert problem.file == "box.deleted/en/subject.txt"
    assert "cannot use nonsense" in problem.reason


def test_check_finds_an_error_in_the_second_sample(own: Path) -> None:
    put(own, "box.deleted/en/subject.txt", "x{% if many %}{{ first.renew_url }}{% endif %}")

    (problem,) = Renderer(own).check()

    assert (problem.file, problem.line) == ("box.deleted/en/subject.txt", 1)


def test_check_finds_a_part_that_renders_to_nothing(own: Path) -> None:
    put(own, "box.deleted/en/subject.txt", "{# #}\n")

    assert Renderer(own).check() == [Problem("box.deleted/en/subject.txt", None, "renders to nothing")]


def test_no_shipped_message_uses_the_files_of_another() -> None:
    """So what the operator does to one message cannot alter another, which need not be checked again."""
    folder = data_folder("templates")
    for file in folder.rglob("*/*.*"):
        named = re.findall(r"""{%-? *(?:extends|include|from|import) *['"]([^'"]+)""", file.read_text("utf-8"))
        own_folder = file.relative_to(folder).parts[0]
        assert {name.partition("/")[0] for name in named} <= {"_base", own_folder}, file


def test_check_names_the_shared_file_in_which_an_error_arose(own: Path) -> None:
    put(
        own,
        "_base/en/layout.txt",
        '{% extends "_base/layout.txt" %}\n{% block greeting %}{{ holder.nam }}{% endblock %}',
    )

    assert {(problem.file, problem.line) for problem in Renderer(own).check()} == {("_base/en/layout.txt", 2)}


def test_check_names_a_words_file_once_when_a_word_is_missing(own: Path) -> None:
    words = (data_folder("templates") / "_base/it/words.toml").read_text("utf-8")
    put(own, "_base/it/words.toml", words.replace("\ntomorrow =", "\nmorrow ="))

    assert Renderer(own).check() == [Problem("_base/it/words.toml", None, "when.tomorrow is missing")]


def test_check_names_a_style_sheet_that_cannot_be_inlined(own: Path) -> None:
    put(own, "_base/style.css", "p a { color: red; }")

    (problem,) = Renderer(own).check()

    assert problem.file == "_base/style.css"
    assert "'p a' cannot be inlined" in problem.reason


def test_check_names_a_shared_file_that_is_missing(shipped: Path) -> None:
    (shipped / "_base/parts.html").unlink()

    assert Renderer(shipped=shipped).check() == [Problem("_base/parts.html", None, "this file is missing")]


def test_check_names_a_file_of_the_operator_that_no_message_uses(own: Path) -> None:
    put(own, "box.deleted/it/subjct.txt", "x")
    put(own, "README.md", "notes of the operator's own are no templates")
    put(own, "_base/own.txt", "included below")
    put(own, "box.deleted/it/subject.txt", '{% include "_base/own.txt" %}')

    assert Renderer(own).check() == [Problem("box.deleted/it/subjct.txt", None, "no message uses this file")]


@pytest.mark.parametrize("path", ["box.deleted/it/body.txt", "_base/it/words.toml", "_base/style.css"])
def test_check_names_a_file_that_is_not_utf8(own: Path, path: str) -> None:
    (own / path).parent.mkdir(parents=True, exist_ok=True)
    (own / path).write_bytes("perché".encode("latin-1"))

    (problem,) = Renderer(own).check()

    assert problem.file == path
    assert "is not UTF-8" in problem.reason


# Names as people have them

AWKWARD_NAMES = [
    'Zoë "Zo" O\'Neil',
    "<script>alert(1)</script>",
    "Mario\r\nBcc: everybody@example.com",
    "Mario\n\nIl suo conto è bloccato: http://example.org",
    "東京 Жанна أحمد",
    "Rossi & Figli",
    "{{ sender }}",
    "Mario\u2028Rossi\u0085\x0b\x00",
    "Mario \u202eissoR",
]


class _Reader(HTMLParser):
    """Collects the text and the start tags that a mail reader would see."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    return reader


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_a_holders_name_is_text_in_html_whatever_is_in_it(renderer: Renderer, name: str) -> None:
    plain, awkward = read(renderer.render(named("Mario"), "it").html), read(renderer.render(named(name), "it").html)

    assert f"Gentile {one_line(name)}," in awkward.text
    assert awkward.tags == plain.tags


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_a_holders_name_stays_on_its_line_in_text(renderer: Renderer, name: str) -> None:
    first, second, *_ = renderer.render(named(name), "en").text.split("\n")

    assert first == f"Dear {one_line(name)},"
    assert second == ""


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_a_subject_that_names_the_holder_is_one_clean_line(own: Path, name: str) -> None:
    put(own, "box.suspended/it/subject.txt", "{{ holder.name }}:\n  {{ first.address }}\n")

    subject = Renderer(own).render(named(name), "it").subject

    assert subject.splitlines() == [subject]
    assert subject == one_line(subject)
    assert subject.endswith(": mario.rossi@pec.example.it")


def test_text_holds_no_html_entities(renderer: Renderer) -> None:
    text = renderer.render(named("Rossi & Figli <srl>"), "it").text

    assert "Rossi & Figli <srl>" in text


def test_a_holder_without_a_name_is_still_greeted(renderer: Renderer) -> None:
    assert renderer.render(named(" "), "it").text.startswith("Gentile cliente,\n")
    assert renderer.render(named(""), "en").text.startswith("Dear customer,\n")
    assert "Gentile cliente," in renderer.render(named(""), "it").html


def test_an_address_with_markup_in_it_is_escaped_in_links_and_text(renderer: Renderer) -> None:
    line = SUSPENDED.lines[0]
    assert isinstance(line, SuspendedLine)
    hostile = replace(SUSPENDED, lines=(replace(line, renew_url='https://x/?a="><b>', plan_name="<i>"),))

    html = renderer.render(hostile, "en").html

    assert "<i>" not in html
    assert "<b>" not in html
    assert ("a", 'https://x/?a="><b>') in [(tag, attrs.get("href")) for tag, attrs in read(html).tags]


# Words


@pytest.mark.parametrize(
    ("locale", "kind", "one", "two"),
    [
        ("it", "days", "1 giorno", "2 giorni"),
        ("it", "years", "1 anno", "2 anni"),
        ("it", "boxes", "una casella PEC", "2 caselle PEC"),
        ("it", "addons", "un servizio aggiuntivo", "2 servizi aggiuntivi"),
        ("en", "days", "1 day", "2 days"),
        ("en", "years", "1 year", "2 years"),
        ("en", "boxes", "one certified mailbox", "2 certified mailboxes"),
        ("en", "addons", "one extra service", "2 extra services"),
    ],
)
def test_one_is_singular_and_two_are_plural(locale: Locale, kind: str, one: str, two: str) -> None:
    words = read_words((data_folder("templates") / f"_base/{locale}/words.toml").read_text("utf-8"))

    assert (words.count(kind, 1), words.count(kind, 2)) == (one, two)


def test_words_name_what_they_know_and_fall_back_on_what_they_are_given() -> None:
    italian = read_words((data_folder("templates") / "_base/it/words.toml").read_text("utf-8"))
    english = read_words((data_folder("templates") / "_base/en/words.toml").read_text("utf-8"))

    assert [italian.in_days(n) for n in (0, 1, 2)] == ["oggi", "domani", "tra 2 giorni"]
    assert italian.addon("extra_inbox", 2) == "spazio casella aggiuntivo (2 GB)"
    assert italian.addon("sms_notices", 1) == "sms notices"
    assert italian.addon("sms_notices", 3) == "sms notices × 3"
    assert italian.method(PaymentMethodText("card", "visa", "4242")) == "carta Visa che termina con 4242"
    assert english.method(PaymentMethodText("card", "amex", "0005")) == "American Express card ending in 0005"
    assert english.method(PaymentMethodText("card")) == "card"
    assert english.method(PaymentMethodText("card", "Bancomat")) == "Bancomat card"
    assert english.method(PaymentMethodText("paypal")) == "PayPal account"
    assert english.method(None) == "manual payment"


def declined(code: str, method: MethodKind = "card") -> ChargeDeclinedLine:
    line = SAMPLES["charge.declined"][0].lines[0]
    assert isinstance(line, ChargeDeclinedLine)
    return replace(line, code=code, method=PaymentMethodText(method))


@pytest.mark.parametrize("locale", LOCALES)
def test_a_reason_may_be_put_otherwise_for_a_kind_of_payment_method(locale: Locale) -> None:
    words = read_words((data_folder("templates") / f"_base/{locale}/words.toml").read_text("utf-8"))

    assert words.reason(declined("never heard of")) == words.declines["other"]
    assert words.reason(declined("expired_card")) == words.declines["expired_card"]
    assert words.reason(declined("expired_card", "paypal")) == words.declines["expired_card_paypal"]
    assert words.reason(declined("processing_error", "paypal")) == words.declines["processing_error"]


def test_the_operator_may_reword_what_helps(own: Path) -> None:
    shipped = (data_folder("templates") / "_base/it/words.toml").read_text("utf-8")
    put(own, "_base/it/words.toml", shipped.replace("Si assicuri che l’importo sia disponibile", "Versi l’importo"))

    assert "Versi l’importo, oppure usi" in Renderer(own).render(SAMPLES["charge.declined"][0], "it").html


@pytest.mark.parametrize("table", ["advice", "advice_by_hand"])
def test_a_words_file_without_advice_is_refused(table: str) -> None:
    shipped = (data_folder("templates") / "_base/it/words.toml").read_text("utf-8")
    tables = shipped.partition(f"[{table}]")
    without = tables[0] + tables[1] + tables[2].replace("\nconfirm =", "\naffirm =", 1)

    with pytest.raises(WordsError, match=f"{table}.confirm is missing"):
        read_words(without)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[counts", "Expected ']'"),
        ("", "counts.days must be a singular and a plural"),
        ('[counts]\ndays = ["x"]', "counts.days must be a singular and a plural"),
        ('[counts]\ndays = ["{m}", "y"]', "counts.days: only"),
    ],
)
def test_a_words_file_out_of_shape_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(WordsError, match=re.escape(complaint)):
        read_words(text)


# Styles


def test_no_rule_of_the_style_sheet_is_lost_by_inlining(renderer: Renderer) -> None:
    css = (data_folder("templates") / "_base/style.css").read_text("utf-8")
    whole = CSSInliner(extra_css=css, keep_style_tags=True, inline_style_tags=False)

    for kind in MESSAGE_KINDS:
        for sample in SAMPLES[kind]:
            html = renderer.render(sample, "it").html
            again = whole.inline(html)
            ours = [_declarations(attrs) for tag, attrs in read(html).tags if tag != "bdi"]
            theirs = [_declarations(attrs) for tag, attrs in read(again).tags if tag not in {"bdi", "tbody"}]
            assert ours == theirs


def _declarations(attrs: dict[str, str | None]) -> set[str]:
    return {re.sub(r"\s*([:,])\s*", r"\1", part.strip()) for part in (attrs.get("style") or "").split(";")} - {""}


def test_rules_for_screens_stay_in_the_head(renderer: Renderer) -> None:
    html = renderer.render(SUSPENDED, "it").html

    assert html.count("<style>") == 1
    assert "prefers-color-scheme: dark" in html
    assert "max-width: 520px" in html


def test_inlining_leaves_jinja_and_line_breaks_alone() -> None:
    source = '<td\n class="a">{% if x < y %}{{ z }}{% endif %}</td>\n{{ b }}<a class="b" style="top:0" href="{{ u }}">'

    styled = StyleInliner(".a { color: red } a.b { margin: 0 }").apply(source)

    assert styled == (
        '<td\n class="a" style="color:red">{% if x < y %}{{ z }}{% endif %}</td>\n'
        '{{ b }}<a class="b" href="{{ u }}" style="margin:0;top:0">'
    )


def test_an_element_without_rules_stays_as_it_is() -> None:
    assert StyleInliner(".a { color: red }").apply('<p class="c"><br>') == '<p class="c"><br>'


@pytest.mark.parametrize("css", ["p a { top: 0 }", "p > a { top: 0 }", "a:hover { top: 0 }", "#x { top: 0 }"])
def test_a_rule_that_depends_on_more_than_the_element_is_refused(css: str) -> None:
    with pytest.raises(StyleError, match="cannot be inlined"):
        StyleInliner(css)


def test_a_rule_for_screens_is_refused_in_the_inlined_sheet() -> None:
    with pytest.raises(StyleError, match=r"screens\.css"):
        StyleInliner("@media print { p { top: 0 } }")


def test_a_computed_class_is_refused() -> None:
    with pytest.raises(StyleError, match="computed"):
        StyleInliner("p { top: 0 }").apply('<p class="{{ x }}">')


# Size


def test_three_hundred_boxes_fit_into_one_message(renderer: Renderer) -> None:
    line = SUSPENDED.lines[0]
    assert isinstance(line, SuspendedLine)
    lines = tuple(replace(line, address=f"box{n}@pec.example.it") for n in range(300))
    big = replace(SUSPENDED, lines=lines)

    for locale in LOCALES:
        subject, text, html = renderer.render(big, locale)
        assert subject.startswith("300 ")
        assert [text.count(f"- box{n}@pec.example.it\n") for n in range(300)] == [1] * 300
        assert [html.count(f">box{n}@pec.example.it<") for n in range(300)] == [1] * 300
        assert text.index("box7@") < text.index("box8@")


def test_a_long_list_has_its_button_above_and_below(renderer: Renderer) -> None:
    many = replace(SUSPENDED, lines=SUSPENDED.lines * 9)

    assert renderer.render(many, "en").html.count("Renew in the customer area") == 2


def test_preview_shows_the_sample(renderer: Renderer) -> None:
    assert renderer.preview("box.deleted", "en", "subject") == "Mailbox mario.rossi@pec.example.it deleted for good"
    assert renderer.preview("box.deleted", "en").startswith("<!doctype html>")

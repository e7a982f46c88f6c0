"""What the shipped messages say, in both languages."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest

from lifecycle_jobs.data import data_folder
from lifecycle_jobs.mail.contents import (
    ADVICES,
    LOCALES,
    MESSAGE_KINDS,
    Advice,
    ChargeDeclinedLine,
    Content,
    DeletionWarningLine,
    ExpiryAlertLine,
    Locale,
    MessageKind,
    RenewalNoticeLine,
    SuspendedLine,
)
from lifecycle_jobs.mail.methods import EndingCard, MethodKind, PaymentMethodText
from lifecycle_jobs.mail.render import PART_FILES, Rendered, Renderer
from lifecycle_jobs.mail.sample_letters import LINKS, SENDER
from lifecycle_jobs.mail.samples import SAMPLES

EVERY_SAMPLE = [
    pytest.param(sample, locale, id=f"{kind}-{number}-{locale}")
    for kind, samples in SAMPLES.items()
    for number, sample in enumerate(samples)
    for locale in LOCALES
]
_RENDERER = Renderer()


def render(content: Content, locale: Locale = "it") -> Rendered:
    """The message, with plain blanks where the language has unbreakable ones, and text paragraphs on one line."""
    subject, text, html = (part.replace("\u00a0", " ") for part in _RENDERER.render(content, locale))
    return Rendered(subject, re.sub(r"(?<=\S)\n *(?=\S)", " ", text), re.sub(r"\s+", " ", html))


def alert(days_left: int, expires_on: date = date(2027, 3, 31)) -> Content:
    sample = SAMPLES["box.expiry_alert"][0]
    line = sample.lines[0]
    assert isinstance(line, ExpiryAlertLine)
    return replace(sample, lines=(replace(line, days_left=days_left, expires_on=expires_on),))


def declined(
    code: str = "generic_decline",
    advice: Advice = "bank",
    *,
    method: MethodKind = "card",
    hard: bool = False,
    next_on: date | None = date(2027, 3, 26),
    on: date = date(2027, 3, 24),
) -> Content:
    """A declined charge of one box, E = 31 March 2027, as it is written on a day."""
    sample = SAMPLES["charge.declined"][0]
    line = sample.lines[0]
    assert isinstance(line, ChargeDeclinedLine)
    next_on = None if hard else next_on
    line = replace(line, code=code, advice=advice, method=PaymentMethodText(method), hard=hard)
    line = replace(line, final=next_on is None, next_attempt_on=next_on)
    return replace(sample, lines=(line,), written_on=on)


def button(rendered: Rendered) -> str | None:
    """Where the one button of a message leads."""
    links = re.findall(r'<a class="button-link" href="([^"]*)"', re.sub(r'style="[^"]*" ?', "", rendered.html))
    assert len(links) <= 1
    return links[0] if links else None


def warning(days_left: int) -> Content:
    sample = SAMPLES["box.deletion_warning"][0]
    line = sample.lines[0]
    assert isinstance(line, DeletionWarningLine)
    return replace(sample, lines=(replace(line, days_left=days_left),))


# All of them


def test_every_kind_of_message_has_its_folder_and_every_folder_is_a_kind() -> None:
    folders = {folder.name for folder in data_folder("templates").iterdir()} - {"_base", "_staff"}

    assert folders == set(MESSAGE_KINDS) == set(SAMPLES)


@pytest.mark.parametrize("kind", MESSAGE_KINDS)
def test_every_kind_has_exactly_its_three_files_in_each_language(kind: MessageKind) -> None:
    folder = data_folder("templates") / kind
    files = {str(file.relative_to(folder)) for file in folder.rglob("*.*")}

    assert files == {f"{locale}/{file}" for locale in LOCALES for file in PART_FILES.values()}


@pytest.mark.parametrize(("sample", "locale"), EVERY_SAMPLE)
def test_every_message_is_complete_in_each_part_and_language(sample: Content, locale: Locale) -> None:
    subject, text, html = render(sample, locale)

    assert 10 < len(subject) < 120
    for part in (text, html):
        for line in sample.lines:
            assert (getattr(line, "address", "") or "") in part
        for must in (sample.sender.name, sample.sender.support_email, sample.sender.website, sample.sender.legal_line):
            assert must in part
        assert "None" not in part
        assert "{" not in re.sub(r"<style>.*</style>", "", part)
    assert LINKS.account in text + html
    assert "https://" in text


@pytest.mark.parametrize(("sample", "locale"), EVERY_SAMPLE)
def test_text_is_wrapped_tidy_and_free_of_markup(sample: Content, locale: Locale) -> None:
    text = _RENDERER.render(sample, locale).text

    assert not re.search(r"&(amp|lt|gt|quot|nbsp|#\d+);|</?(p|td|strong|a)\b", text)
    assert "\n\n\n" not in text
    assert not re.search(r"[ \t]\n", text)
    assert text.endswith("\n")
    too_long = [line for line in text.split("\n") if len(line) >= 78 and " " in line.strip()]
    assert too_long == []


@pytest.mark.parametrize(("sample", "locale"), EVERY_SAMPLE)
def test_text_and_html_carry_the_same_figures(sample: Content, locale: Locale) -> None:
    _, text, html = render(sample, locale)
    visible = re.sub(r"<style>.*</style>|<!--.*?-->|<[^>]*>", " ", html)
    amounts = r"\d[\d.,]* €" if locale == "it" else r"€[\d.,]+\d"
    dates = r"\d{1,2}º? [A-Za-z]{3,} 20\d\d"

    assert set(re.findall(amounts, text)) == set(re.findall(amounts, visible))
    assert set(re.findall(dates, text)) == set(re.findall(dates, visible))


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(("sample", "locale"), EVERY_SAMPLE)
def test_html_is_well_formed_accessible_and_needs_no_images(sample: Content, locale: Locale) -> None:
    outline = _Outline()
    outline.feed(_RENDERER.render(sample, locale).html)

    assert outline.open == []
    assert ("html", {"lang": locale, "dir": "ltr"}) in outline.tags
    assert "img" not in [tag for tag, _ in outline.tags]
    assert [tag for tag, _ in outline.tags].count("h1") == 1
    tables = [attrs for tag, attrs in outline.tags if tag == "table"]
    assert [attrs["class"] for attrs in tables if attrs.get("role") != "presentation"] == ["rows"]
    assert all(attrs.get("href") for tag, attrs in outline.tags if tag == "a")
    assert "preheader" in [attrs.get("class") for _, attrs in outline.tags]


@pytest.mark.parametrize("locale", LOCALES)
def test_every_message_has_one_clear_thing_to_do(locale: Locale) -> None:
    for kind in MESSAGE_KINDS:
        assert _RENDERER.render(SAMPLES[kind][0], locale).html.count('class="button-link"') == 1


@pytest.mark.parametrize("kind", MESSAGE_KINDS)
def test_no_straight_apostrophe_stands_between_letters(kind: MessageKind) -> None:
    for locale in LOCALES:
        for part in _RENDERER.render(SAMPLES[kind][0], locale):
            assert not re.search(r"[a-zàèéìòù]'[a-zàèéìòù]", re.sub(r"<[^>]*>|<style>.*?</style>", "", part))


def test_no_telephone_number_is_printed_where_there_is_none() -> None:
    silent = replace(SAMPLES["box.suspended"][0], sender=replace(SENDER, support_phone=""))

    for part in (*render(silent, "it"), *render(silent, "en")):
        assert "telefoni" not in part
        assert " call " not in part


# Colours


def _luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _colours(css: str) -> set[str]:
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", css)
    # The preheader is hidden, and a button's label stands on the button.
    text = [body for selector, body in rules if "preheader" not in selector and "button" not in selector]
    return {colour for body in text for colour in re.findall(r"(?<![-\w])color: (#[0-9a-f]{6})", body)}


def test_text_contrasts_with_its_ground_by_day_and_by_night() -> None:
    base = data_folder("templates") / "_base"
    by_day = _colours((base / "style.css").read_text("utf-8"))
    by_night = _colours((base / "screens.css").read_text("utf-8"))

    assert min(_contrast(colour, "#ffffff") for colour in by_day) >= 4.5
    assert min(_contrast(colour, "#1b212a") for colour in by_night) >= 4.5
    assert _contrast("#ffffff", "#0b4f9e") >= 4.5
    assert _contrast("#ffffff", "#1c66bd") >= 4.5


# Expiry alert


def test_an_alert_tells_the_last_day_the_price_and_what_follows() -> None:
    subject, text, html = render(SAMPLES["box.expiry_alert"][0])

    assert subject == "La casella mario.rossi@pec.example.it scade tra 30 giorni (31 marzo 2027)"
    for part in (text, html):
        assert "12,08 €" in part
        assert "funziona normalmente fino al 31 marzo 2027 compreso" in part
        assert "Dal 1º aprile 2027 è sospesa" in part
        assert "Dal 30 giugno 2027 potrà essere cancellata" in part


@pytest.mark.parametrize(
    ("days_left", "italian", "english"),
    [(0, "scade oggi", "expires today"), (1, "scade domani", "expires tomorrow"), (2, "tra 2 giorni", "in 2 days")],
)
def test_the_last_days_are_called_by_their_names(days_left: int, italian: str, english: str) -> None:
    assert italian in render(alert(days_left)).subject
    assert english in render(alert(days_left), "en").subject


def test_an_alert_advises_to_renew_fifteen_days_ahead_or_today() -> None:
    assert "entro il 16 marzo 2027, almeno 15 giorni prima" in render(alert(16)).text
    assert "rinnovarla oggi stesso" in render(alert(15)).text
    assert "by 16 March 2027, at least 15 days before" in render(alert(16), "en").text
    assert "renew it today" in render(alert(15), "en").text


def test_an_alert_names_each_add_on_that_credit_must_pay() -> None:
    _, text, html = render(SAMPLES["box.expiry_alert"][1])

    for part in (text, re.sub(r"<[^>]*>", "", html)):
        assert "spazio casella aggiuntivo (1 GB), 3,05 €; credito disponibile 1,00 €, mancano 2,05 €" in part
        assert "spazio archivio aggiuntivo (2 GB), 6,10 €; credito disponibile 10,00 €" in part
        assert part.count("mancano") == 1


def test_an_alert_about_a_box_on_a_domain_points_to_the_domain_and_names_no_price() -> None:
    subject, text, html = render(SAMPLES["box.expiry_alert"][3])

    assert subject
    for part in (text, html):
        assert "Si rinnova insieme al dominio example.com" in part
        assert "€" not in part


def test_an_alert_about_several_boxes_lists_them_in_the_order_given() -> None:
    subject, text, _ = render(SAMPLES["box.expiry_alert"][1])

    assert subject == "3 caselle PEC in scadenza: la prima scade tra 30 giorni (31 marzo 2027)"
    assert text.index("mario.rossi@") < text.index("studiolegale.dangelo") < text.index("amministrazione@")
    assert "scade l’8 aprile 2027" in text


# Renewal notice


@pytest.mark.parametrize(
    ("locale", "last_day", "law"),
    [
        ("it", "fino al 23 marzo 2027 compreso", "art. 65-bis del Codice del consumo (d.lgs. 206/2005)"),
        ("en", "up to and including 23 March 2027", "art. 65-bis of the Italian Consumer Code"),
    ],
)
def test_a_renewal_notice_names_the_last_day_to_cancel_and_the_law(locale: Locale, last_day: str, law: str) -> None:
    for number in range(len(SAMPLES["box.renewal_notice"])):
        _, text, html = render(SAMPLES["box.renewal_notice"][number], locale)
        assert last_day in text
        assert last_day in html
        assert law in text
        assert law in html


def test_a_renewal_notice_tells_when_how_much_and_from_what() -> None:
    _, text, _ = render(SAMPLES["box.renewal_notice"][0])

    assert "Rinnovo dal 24 marzo 2027, per 1 anno, fino al 31 marzo 2028" in text
    assert "12,08 €, IVA inclusa" in text
    assert "carta Visa che termina con 4242" in text
    assert "almeno 15 giorni prima della scadenza" in text


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (2, "preleveremo l’importo dal suo credito prepagato"),
        (3, "Il rinnovo avviene senza addebito"),
        (4, "Il rinnovo avviene senza costi"),
    ],
)
def test_a_renewal_notice_announces_no_charge_to_who_is_not_charged(number: int, says: str) -> None:
    _, text, html = render(SAMPLES["box.renewal_notice"][number])

    for part in (text, html):
        assert says in part
        assert "addebiteremo" not in part


def test_a_renewal_for_several_years_says_years() -> None:
    sample = SAMPLES["box.renewal_notice"][0]
    line = sample.lines[0]
    assert isinstance(line, RenewalNoticeLine)

    assert "automaticamente per 2 anni" in render(replace(sample, lines=(replace(line, years=2),))).text


# Receipt


def test_a_receipt_shows_net_vat_gross_order_and_both_dates() -> None:
    subject, text, html = render(SAMPLES["box.renewed"][0])

    assert subject == "Casella mario.rossi@pec.example.it rinnovata fino al 31 marzo 2028"
    for must in ("9,90 €", "2,18 €", "12,08 €", "R-2027-004211", "31 marzo 2027", "31 marzo 2028"):
        assert must in text
        assert must in html


def test_a_receipt_for_several_boxes_has_a_total_and_tells_what_will_be_invoiced() -> None:
    _, text, html = render(SAMPLES["box.renewed"][1])

    for part in (text, html):
        assert "27,21 €" in part
        assert "riceverà la fattura secondo gli accordi" in part


def with_card(kind: MessageKind, valid_until: date, on: date, days_left: int = 30) -> Content:
    sample = SAMPLES[kind][0]
    line = sample.lines[0]
    assert isinstance(line, RenewalNoticeLine | ExpiryAlertLine)
    card = EndingCard(PaymentMethodText("card", "visa", "4242"), valid_until, charge_on=max(on, date(2027, 3, 24)))
    return replace(sample, lines=(replace(line, ending_card=card, days_left=days_left),), written_on=on)


@pytest.mark.parametrize(
    ("on", "italian", "english"),
    [
        (date(2027, 2, 28), "è valida solo fino al 28 febbraio 2027", "is valid only until 28 February 2027"),
        (date(2027, 3, 1), "è scaduta il 28 febbraio 2027", "expired on 28 February 2027"),
    ],
)
@pytest.mark.parametrize("kind", ["box.renewal_notice", "box.expiry_alert"])
def test_a_card_that_ends_before_the_charge_is_named_with_the_link_to_replace_it(
    kind: MessageKind, on: date, italian: str, english: str
) -> None:
    content = with_card(kind, date(2027, 2, 28), on)

    says: dict[Locale, str] = {"it": f"La carta Visa che termina con 4242 {italian}", "en": f"in 4242 {english}"}
    for locale in LOCALES:
        for part in render(content, locale)[1:]:
            assert says[locale] in part
            assert LINKS.payment_method in part


def test_a_renewal_notice_does_not_say_that_nothing_is_to_be_done_where_a_card_ends() -> None:
    content = with_card("box.renewal_notice", date(2027, 2, 28), date(2027, 2, 22))
    italian, english = render(content), render(content, "en")

    assert italian.subject.startswith("Carta da sostituire per il rinnovo automatico")
    assert english.subject.startswith("Card to be replaced for the automatic renewal")
    assert button(italian) == button(english) == LINKS.payment_method
    for part in italian[1:]:
        assert "on deve fare nulla" not in part
        assert "la sostituisca prima del 24 marzo 2027" in part
    for part in english[1:]:
        assert "nothing you need to do" not in part
        assert "please replace it before 24 March 2027" in part


def test_a_notice_written_on_the_day_of_the_charge_asks_for_a_card_today() -> None:
    content = with_card("box.renewal_notice", date(2027, 2, 28), date(2027, 3, 24))

    assert "la sostituisca oggi stesso" in render(content).text
    assert "please replace it today" in render(content, "en").html


def test_among_several_notices_only_the_box_with_the_ending_card_says_so() -> None:
    content = SAMPLES["box.renewal_notice"][-1]

    for part in render(content)[1:]:
        assert part.count("va sostituita") == 1
        assert "non deve fare nulla, tranne sostituire la carta dove lo indichiamo" in part


def test_on_the_last_day_an_alert_promises_nothing_of_a_new_card() -> None:
    for locale in LOCALES:
        for part in render(with_card("box.expiry_alert", date(2027, 2, 28), date(2027, 3, 31), 0), locale)[1:]:
            assert LINKS.payment_method not in part
            assert re.search("rinnovi direttamente la casella|renew the mailbox yourself", part)


def test_a_card_that_stays_valid_is_not_mentioned() -> None:
    for kind in ("box.renewal_notice", "box.expiry_alert"):
        for part in render(SAMPLES[kind][0])[1:]:
            assert "sostitu" not in part


# Declined


def _codes(text: str) -> list[str]:
    return text.split()


# Published at https://docs.stripe.com/declines/codes (July 2026): for cards, and those for "local" methods alone.
STRIPE_CARD_CODES = _codes("""
authentication_required authentication_not_handled approve_with_id call_issuer card_not_supported
card_velocity_exceeded currency_not_supported do_not_honor do_not_try_again duplicate_transaction expired_card
fraudulent generic_decline incorrect_address incorrect_cvc incorrect_number incorrect_pin incorrect_zip
insufficient_funds invalid_account invalid_amount invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number
invalid_pin issuer_not_available lost_card merchant_blacklist mobile_device_authentication_required
new_account_information_available no_action_taken not_permitted offline_pin_required online_or_offline_pin_required
pickup_card pin_try_exceeded processing_error reenter_transaction restricted_card revocation_of_all_authorizations
revocation_of_authorization security_violation service_not_allowed stolen_card stop_payment_order testmode_decline
transaction_not_allowed try_again_later withdrawal_count_limit_exceeded
""")
STRIPE_PAYPAL_CODES = _codes("""
partner_generic_decline invalid_customer_account payment_limit_exceeded invalid_billing_agreement
invalid_business_account partner_high_risk_customer compliance_violation payment_disputed invalid_authorization
invalid_payment_information partner_payment_not_found expired_payment_information
""")
RENEW = "https://www.example.it/renew?box=mario.rossi@pec.example.it"


@pytest.mark.parametrize("code", ["stolen_card", "lost_card", "pickup_card"])
def test_a_stolen_or_lost_card_is_not_called_so(code: str) -> None:
    italian, english = render(declined(code)), render(declined(code), "en")

    for rendered, advice in ((italian, "rivolgersi alla sua banca"), (english, "contact your bank")):
        for part in rendered[1:]:
            assert advice in part
            assert not re.search(r"rubat|smarrit|furto|stolen|lost card|theft", part)


def test_every_reason_is_known_in_both_languages() -> None:
    for locale in LOCALES:
        for code in ("insufficient_credit", *STRIPE_CARD_CODES, *STRIPE_PAYPAL_CODES):
            assert render(declined(code), locale).text != render(declined("unheard of"), locale).text, code


@pytest.mark.parametrize("code", ["fraudulent", "merchant_blacklist"])
def test_a_suspicion_of_fraud_reads_like_any_decline_without_a_reason(code: str) -> None:
    for locale in LOCALES:
        assert render(declined(code), locale) == render(declined("generic_decline"), locale)


def test_both_languages_have_words_for_the_same_declines_and_advice() -> None:
    italian, english = (
        tomllib.loads((data_folder("templates") / f"_base/{locale}/words.toml").read_text("utf-8"))
        for locale in LOCALES
    )

    for table in ("declines", "advice", "advice_by_hand"):
        assert italian[table].keys() == english[table].keys()


@pytest.mark.parametrize(
    ("content", "italian", "english", "leads_to"),
    [
        (declined(advice="funds"), "Si assicuri che l’importo sia disponibile", "make sure that the amount", RENEW),
        (declined(advice="replace", hard=True), "ne registri un altro", "store another one", LINKS.payment_method),
        (declined(advice="confirm", hard=True), "con la sua banca", "with your bank", RENEW),
        (declined(advice="bank"), "rivolgersi alla sua banca", "contact your bank", RENEW),
        (declined(advice="bank", method="paypal"), "il suo conto PayPal, oppure", "your PayPal account, or", RENEW),
        (
            declined(advice="credit", method="credit"),
            "Ricarichi il credito",
            "top up your prepaid credit",
            LINKS.credit,
        ),
        (declined(advice="provider"), "ce ne stiamo occupando", "we are working on it", None),
        (declined(advice="later"), "Per ora non deve fare nulla", "nothing you need to do for now", None),
    ],
)
def test_each_decline_says_what_helps_and_the_button_fits(
    content: Content, italian: str, english: str, leads_to: str | None
) -> None:
    says: dict[Locale, str] = {"it": italian, "en": english}
    for locale in LOCALES:
        rendered = render(content, locale)
        assert says[locale] in rendered.text
        assert says[locale] in rendered.html
        assert button(rendered) == leads_to
        for part in rendered[1:]:
            assert RENEW in part  # paying by hand is always possible


@pytest.mark.parametrize("advice", ["provider", "later"])
def test_where_there_is_nothing_to_do_nobody_is_alarmed(advice: Advice) -> None:
    subject, text, html = render(declined(advice=advice))

    assert subject.endswith("riproveremo il pagamento il 26 marzo 2027")
    assert "Riproveremo il 26 marzo 2027" in text
    assert "bar-alert" not in html
    for part in (text, html):
        assert "sospesa" not in part
        assert "non riuscito" not in part


@pytest.mark.parametrize("advice", ADVICES)
@pytest.mark.parametrize("on", [date(2027, 3, 31), date(2027, 4, 2)])
def test_once_nothing_more_is_charged_the_holder_is_asked_to_pay(advice: Advice, on: date) -> None:
    for locale in LOCALES:
        rendered = render(declined(advice=advice, next_on=None, on=on), locale)
        assert button(rendered) == RENEW
        assert "bar-alert" in rendered.html
        for part in rendered:
            assert LINKS.payment_method not in part
            assert "Non deve fare nulla" not in part
            assert "nothing you need to do" not in part


def test_after_a_hard_decline_the_method_is_not_tried_again_for_this_renewal() -> None:
    for content in (declined(advice="replace", hard=True), declined(advice="bank", hard=True)):
        for part in render(content)[1:]:
            assert "Non riproveremo con questo metodo di pagamento per questo rinnovo" in part
        for part in render(content, "en")[1:]:
            assert "We will not try this payment method again for this renewal" in part


def test_among_several_boxes_each_has_its_own_reason_and_advice() -> None:
    _, text, html = render(SAMPLES["charge.declined"][1])

    for part in (text, html):
        ours, credit, paypal = (part.index(str(line.address)) for line in SAMPLES["charge.declined"][1].lines)
        assert ours < part.index("ne registri un altro") < credit
        assert credit < part.index("Ricarichi il credito prepagato") < paypal
        assert paypal < part.index("controllare il suo conto PayPal")
    assert button(render(SAMPLES["charge.declined"][1])) == LINKS.account


def test_several_boxes_on_one_expired_card_ask_for_one_new_card() -> None:
    assert button(render(SAMPLES["charge.declined"][-1])) == LINKS.payment_method


def test_several_boxes_with_nothing_to_do_alarm_nobody() -> None:
    rendered = render(SAMPLES["charge.declined"][-2])

    assert rendered.subject == "Rinnovo di 2 caselle PEC: il pagamento è rimandato"
    assert button(rendered) is None
    assert "Le caselle continuano a funzionare normalmente" in rendered.html


def test_a_soft_decline_names_the_next_attempt_and_a_final_one_says_there_is_none() -> None:
    assert "Riproveremo il 26 marzo 2027" in render(SAMPLES["charge.declined"][0]).text
    assert "Non riproveremo con questo metodo" in render(SAMPLES["charge.declined"][2]).text
    assert "Non faremo altri tentativi automatici" in render(SAMPLES["charge.declined"][3]).text


def test_a_replaced_method_is_promised_only_while_it_would_still_be_charged() -> None:
    assert LINKS.payment_method in render(SAMPLES["charge.declined"][0]).text
    for on_or_after_the_last_day in (3, 4):
        for part in render(SAMPLES["charge.declined"][on_or_after_the_last_day]):
            assert LINKS.payment_method not in part


def test_a_decline_of_credit_points_to_the_top_up() -> None:
    assert LINKS.credit in render(SAMPLES["charge.declined"][3]).text
    assert LINKS.credit not in render(SAMPLES["charge.declined"][0]).text


# Credit


def test_credit_short_names_cost_balance_shortfall_and_the_last_day() -> None:
    subject, text, html = render(SAMPLES["addon.credit_short"][0])

    assert "mancano 2,05 €" in subject
    for must in ("3,05 €", "1,00 €", "2,05 €", "31 marzo 2027 compreso", LINKS.credit):
        assert must in text
        assert must in html


def test_an_add_on_given_up_by_its_holder_is_not_blamed_on_credit() -> None:
    for part in render(SAMPLES["addon.disabled"][2], "en")[1:]:
        assert "as you asked us to" in part
        assert "not enough credit" not in part
        assert LINKS.credit not in part


# Suspension and deletion


def test_a_suspension_tells_what_still_works_and_how_to_come_back() -> None:
    for part in render(SAMPLES["box.suspended"][0])[1:]:
        assert "non può inviarne né riceverne" in part
        assert "decorre dalla vecchia scadenza, il 31 marzo 2027" in part
        assert "Dal 30 giugno 2027" in part
        assert "https://www.example.it/renew?box=mario.rossi@pec.example.it" in part


def test_several_suspended_boxes_name_the_first_deletion_of_all() -> None:
    sample = SAMPLES["box.suspended"][1]
    first, second = sample.lines
    assert isinstance(second, SuspendedLine)
    sooner = replace(sample, lines=(first, replace(second, deletes_on=date(2027, 5, 1))))

    assert "la prima dal 1º maggio 2027" in render(sooner).text


@pytest.mark.parametrize(("days_left", "says"), [(7, "tra 7 giorni"), (1, "domani"), (0, "oggi")])
def test_a_deletion_warning_counts_the_days(days_left: int, says: str) -> None:
    subject, text, html = render(warning(days_left))

    assert subject == f"La casella mario.rossi@pec.example.it sarà cancellata {says} (30 giugno 2027)"
    for part in (text, html):
        assert f"({says}) sarà cancellata definitivamente" in re.sub(r"</?strong[^>]*>", "", part)
        assert "ne scarichi una copia" in part


def test_a_deletion_tells_who_may_take_the_address_again() -> None:
    assert "stesso codice fiscale o la stessa partita IVA" in render(SAMPLES["box.deleted"][0]).text
    assert "same tax code or VAT number" in render(SAMPLES["box.deleted"][0], "en").html


# Payment methods and auto-renew


def test_a_replaced_method_says_when_it_is_charged_or_that_the_box_is_renewed_by_hand() -> None:
    in_time, several, too_late = (render(SAMPLES["method.replaced"][number]) for number in (0, 1, 2))

    assert "Addebito dal 29 marzo 2027 sul nuovo metodo" in in_time.text
    assert "Rinnovo automatico: disattivato" in several.text
    assert "non ci sono altri addebiti automatici: rinnovi la casella da sé" in too_late.text
    assert button(too_late) == "https://www.example.it/renew?box=mario.rossi@pec.example.it"
    assert button(in_time) == LINKS.payment_method


def test_auto_renew_switched_on_says_what_is_charged_when_and_to_what() -> None:
    for locale, words in (
        ("it", ("12,08 €, IVA inclusa", "carta Visa che termina con 4242", "Addebito dal 24 marzo 2027")),
        ("en", ("€12.08 including VAT", "Visa card ending in 4242", "Charged from 24 March 2027")),
    ):
        text = render(SAMPLES["autorenew.switched_on"][0], locale).text  # type: ignore[arg-type]
        assert [word for word in words if word not in text] == []


def test_auto_renew_switched_off_or_a_method_removed_says_what_follows() -> None:
    assert "Non addebiteremo nulla" in render(SAMPLES["autorenew.switched_off"][0]).text
    assert "Un addebito è però già in corso" in render(SAMPLES["autorenew.switched_off"][2]).text
    assert "Rinnovo automatico: disattivato ora" in render(SAMPLES["method.removed"][0]).text


# Extra space and prepaid credit


def test_space_bought_from_credit_says_what_was_paid_what_is_left_and_what_follows() -> None:
    _, text, _ = render(SAMPLES["addon.bought"][0])

    assert "Pagato per 2 anni, fino al 31 marzo 2027" in text
    assert "6,10 €, IVA inclusa" in text
    assert "Credito rimanente: 2,38 €" in text
    assert "con il credito prepagato: 3,05 € all’anno" in text


def test_space_bought_on_an_order_is_said_to_be_part_of_the_renewal() -> None:
    for number in (2, 3):
        _, text, _ = render(SAMPLES["addon.bought"][number])
        assert "fa parte del rinnovo della casella: 15,13 € per 1 anno" in text
        assert "Credito" not in text


def test_an_order_for_space_says_how_to_pay_it() -> None:
    by_transfer, by_card = (render(SAMPLES["addon.ordered"][number], "en").text for number in (0, 1))

    assert "bank transfer: IBAN IT60 X054 2811 1010 0000 0123 456" in by_transfer
    assert "Quote the order number: A-4211-20260120-1" in by_transfer
    assert "Your payment also switches automatic renewal on" in by_card


def test_a_top_up_says_what_the_credit_is_now_or_that_nothing_was_charged() -> None:
    assert "Ora ha a disposizione 18,48 €" in render(SAMPLES["credit.topped_up"][0]).text
    assert (
        "il pagamento non è stato autorizzato. Non abbiamo addebitato nulla"
        in render(SAMPLES["credit.topup_failed"][0]).text
    )
    assert "non è arrivato al servizio di pagamento" in render(SAMPLES["credit.topup_failed"][1]).text

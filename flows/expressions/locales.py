"""Names of months and days, and the localized date styles, for the languages that dates can be written in.

The forms are those of current Java (CLDR): abbreviations carry the points that the language writes, `LLL` is the form that
stands alone, `MMM` the one inside a date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.operators import type_error


@dataclass(frozen=True, slots=True)
class Language:
    """Names from January and from Monday; `styles` are the patterns of full, long, medium and short."""

    months: tuple[str, ...]
    months_short: tuple[str, ...]
    days: tuple[str, ...]
    days_short: tuple[str, ...]
    halves: tuple[str, str]
    eras: tuple[str, str]
    quarter: tuple[str, str]
    """Short and long pattern of a quarter; `{}` is its number, `{th}` its English ordinal."""
    styles: tuple[str, str, str, str]
    alone_short: tuple[str, ...] = ()
    """Short months that stand alone, where they differ."""
    days_alone_short: tuple[str, ...] = ()


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ENGLISH = Language(
    _words("January February March April May June July August September October November December"),
    _words("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"),
    _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    _words("Mon Tue Wed Thu Fri Sat Sun"),
    ("AM", "PM"),
    ("AD", "Anno Domini"),
    ("Q{}", "{}{th} quarter"),
    ("EEEE, MMMM d, yyyy 'at' h:mm:ss a z", "MMMM d, yyyy 'at' h:mm:ss a z", "MMM d, yyyy, h:mm:ss a", "M/d/yy, h:mm a"),
)

_BRITISH_STYLES = (
    "EEEE, d MMMM yyyy 'at' HH:mm:ss z",
    "d MMMM yyyy 'at' HH:mm:ss z",
    "d MMM yyyy, HH:mm:ss",
    "dd/MM/yyyy, HH:mm",
)

LANGUAGES: dict[str, Language] = {
    "en": ENGLISH,
    "de": Language(
        _words("Januar Februar März April Mai Juni Juli August September Oktober November Dezember"),
        _words("Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez."),
        _words("Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag"),
        _words("Mo. Di. Mi. Do. Fr. Sa. So."),
        ("AM", "PM"),
        ("n. Chr.", "n. Chr."),
        ("Q{}", "{}. Quartal"),
        ("EEEE, d. MMMM yyyy 'um' HH:mm:ss z", "d. MMMM yyyy 'um' HH:mm:ss z", "dd.MM.yyyy, HH:mm:ss", "dd.MM.yy, HH:mm"),
        _words("Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez"),
        _words("Mo Di Mi Do Fr Sa So"),
    ),
    "fr": Language(
        _words("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
        _words("janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc."),
        _words("lundi mardi mercredi jeudi vendredi samedi dimanche"),
        _words("lun. mar. mer. jeu. ven. sam. dim."),
        ("AM", "PM"),
        ("ap. J.-C.", "après Jésus-Christ"),
        ("T{}", "{}e trimestre"),
        ("EEEE d MMMM yyyy 'à' HH:mm:ss z", "d MMMM yyyy 'à' HH:mm:ss z", "d MMM yyyy, HH:mm:ss", "dd/MM/yyyy HH:mm"),
    ),
    "es": Language(
        _words("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
        _words("ene feb mar abr may jun jul ago sept oct nov dic"),
        _words("lunes martes miércoles jueves viernes sábado domingo"),
        _words("lun mar mié jue vie sáb dom"),
        ("a. m.", "p. m."),
        ("d. C.", "después de Cristo"),
        ("T{}", "{}.er trimestre"),
        (
            "EEEE, d 'de' MMMM 'de' yyyy, H:mm:ss (z)",
            "d 'de' MMMM 'de' yyyy, H:mm:ss z",
            "d MMM yyyy, H:mm:ss",
            "d/M/yy, H:mm",
        ),
    ),
    "it": Language(
        _words("gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"),
        _words("gen feb mar apr mag giu lug ago set ott nov dic"),
        _words("lunedì martedì mercoledì giovedì venerdì sabato domenica"),
        _words("lun mar mer gio ven sab dom"),
        ("AM", "PM"),
        ("d.C.", "dopo Cristo"),
        ("T{}", "{}º trimestre"),
        ("EEEE d MMMM yyyy HH:mm:ss z", "d MMMM yyyy HH:mm:ss z", "d MMM yyyy, HH:mm:ss", "dd/MM/yy, HH:mm"),
    ),
    "pt": Language(
        _words("janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"),
        _words("jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez."),
        _words("segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo"),
        _words("seg. ter. qua. qui. sex. sáb. dom."),
        ("AM", "PM"),
        ("d.C.", "depois de Cristo"),
        ("T{}", "{}º trimestre"),
        (
            "EEEE, d 'de' MMMM 'de' yyyy HH:mm:ss z",
            "d 'de' MMMM 'de' yyyy HH:mm:ss z",
            "d 'de' MMM 'de' yyyy HH:mm:ss",
            "dd/MM/yyyy HH:mm",
        ),
    ),
    "nl": Language(
        _words("januari februari maart april mei juni juli augustus september oktober november december"),
        _words("jan. feb. mrt. apr. mei jun. jul. aug. sep. okt. nov. dec."),
        _words("maandag dinsdag woensdag donderdag vrijdag zaterdag zondag"),
        _words("ma di wo do vr za zo"),
        ("a.m.", "p.m."),
        ("n.Chr.", "na Christus"),
        ("K{}", "{}e kwartaal"),
        ("EEEE d MMMM yyyy 'om' HH:mm:ss z", "d MMMM yyyy 'om' HH:mm:ss z", "d MMM yyyy HH:mm:ss", "dd-MM-yyyy HH:mm"),
    ),
}

STYLES = ("full", "long", "medium", "short")

_HOME = {"en": "US", "de": "DE", "fr": "FR", "es": "ES", "it": "IT", "pt": "PT", "nl": "NL"}


@dataclass(frozen=True, slots=True)
class Locale:
    """A language and the country whose calendar rules hold."""

    language: Language
    country: str

    def style(self, name: str) -> str:
        """The pattern of `full`, `long`, `medium` or `short`."""
        british = self.language is ENGLISH and self.country not in ("US", "CA", "PH")
        return (_BRITISH_STYLES if british else self.language.styles)[STYLES.index(name)]


US_ENGLISH = Locale(ENGLISH, "US")


def locale_of(name: Any) -> Locale:
    """The locale of an argument such as `fr`, `fr_FR` or `pt-BR`; English of the United States without one."""
    if name is None:
        return US_ENGLISH
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*", name):
        raise type_error("`locale` expects a text such as en_US", name)
    code, *rest = re.split("[-_]", name)
    language = LANGUAGES.get(code.lower())
    if language is None:
        raise ExpressionError(
            f"Dates can be written in the languages {', '.join(LANGUAGES)}, found the locale `{name}`", code="expression.date"
        )
    countries = [part.upper() for part in rest if len(part) == 2]
    return Locale(language, countries[0] if countries else _HOME[code.lower()])

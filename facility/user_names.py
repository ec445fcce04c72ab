"""One rule for names of users, wherever they are created: none can be mistaken for the name of somebody else.

Two names are alike where they come to the same letters once capitals, other forms of a character (full width, small
capitals) and letters of other scripts that are drawn as Latin ones are put aside. Latin digits are not put aside:
`planner-10` and `planner-lo` are two people.
"""

import unicodedata

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from facility.models.text import HIDDEN

#: Letters drawn as Latin ones: of Cyrillic, Greek and Armenian small and capital, then of Latin itself.
DRAWN_ALIKE = {
    **dict(zip("авесԁһіјкӏмнорԛѕтуүԝхѵ", "abecdhijklmhopqstyywxv", strict=True)),
    **dict(zip("АВЕСНІЈКӀМОРԚЅТУҮԜХѴ", "ABECHIJKLMOPQSTYYWXV", strict=True)),
    **dict(zip("αεγικνορτυχω", "aeyikvoptuxw", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
    **dict(zip("աոսօհցքյգղ", "anuohgpjqn", strict=True)),
    **dict(zip("ɑɡɩıȷʋ", "agiijv", strict=True)),
}
SMALL_CAPITAL = "LATIN LETTER SMALL CAPITAL "
TOGETHER = {
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "HANGUL",
    "BOPOMOFO",
    "LATIN",
}  # scripts that one name may write side by side


def likeness(name: str) -> str:
    """Return what two names share that look alike."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFKC", "".join(map(_drawn, unicodedata.normalize("NFKC", name))).casefold())


def _drawn(character: str) -> str:
    unicode_name = unicodedata.name(character, "")
    if unicode_name.startswith(SMALL_CAPITAL) and len(unicode_name) == len(SMALL_CAPITAL) + 1:
        return unicode_name[-1]
    digit = unicodedata.decimal(character, None)
    return DRAWN_ALIKE.get(character, character) if digit is None else str(digit)


def check_user_name(name: str) -> None:
    """Raise unless a user may be called so; a name that somebody has is for the database to refuse.

    Raises
    ------
    ValidationError
        If it holds what cannot be seen, letters of scripts that do not go together, or looks like another user's name.
    """
    users = get_user_model().objects
    if users.filter(username=name).exists():
        return
    if hidden := next((character for character in name if character in HIDDEN), None):
        raise ValidationError(f"{name} holds U+{ord(hidden):04X}, which cannot be seen; leave it out.")
    for part in unicodedata.normalize("NFKC", name).split("@"):  # владимир@example.com is an ordinary address
        scripts = {unicodedata.name(letter, "?").replace("-", " ").split()[0] for letter in part if letter.isalpha()}
        if len(scripts) > 1 and not scripts <= TOGETHER:
            named = " and ".join(sorted(script.capitalize() for script in scripts))
            raise ValidationError(f"{name} mixes letters of {named}, which can look the same; write it in one script.")
    own = likeness(name)
    for there in users.values_list("username", flat=True).iterator():
        if likeness(there) == own:
            raise ValidationError(f"{name} looks like {there}, who is a user already; take another name.")

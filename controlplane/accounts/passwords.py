"""What a password must be."""

from __future__ import annotations

from controlplane.platform.errors import Invalid

PASSWORD_CHARACTERS_MIN = 8
PASSWORD_CHARACTERS_MAX = 256


def require_good_password(password: str) -> str:
    """The password when it is acceptable. Raises Invalid with all that is missing."""
    missing = []
    if len(password) < PASSWORD_CHARACTERS_MIN:
        missing.append(f"at least {PASSWORD_CHARACTERS_MIN} characters")
    if len(password) > PASSWORD_CHARACTERS_MAX:
        missing.append(f"at most {PASSWORD_CHARACTERS_MAX} characters")
    if not any(letter.isupper() for letter in password):
        missing.append("an upper-case letter")
    if not any(letter.islower() for letter in password):
        missing.append("a lower-case letter")
    if not any(letter.isdigit() for letter in password):
        missing.append("a digit")
    if missing:
        raise Invalid(f"the password needs {', '.join(missing)}", code="password.weak")
    return password

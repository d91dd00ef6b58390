"""No spelling of a password is left in what people read."""

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.credentials import hide, shown


@pytest.mark.parametrize(
    ("address", "visible"),
    [
        ("sqlite:////tmp/a@b/studies.db", "sqlite:////tmp/a@b/studies.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("postgresql+psycopg://me:s3cret@db:5432/x", "postgresql+psycopg://me:***@db:5432/x"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("postgresql://me:a/b@c@db/x", "postgresql://me:***@db/x"),
        ("postgresql://db/x?user=me&password=s3cret", "postgresql://db/x?user=me&password=***"),
        ("not an address", "not an address"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, visible: str) -> None:
    assert shown(address) == visible


passwords = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=5, max_size=20)


@given(passwords, st.sampled_from(["user", "query"]))
def test_a_message_that_quotes_the_address_shows_no_password(password: str, place: str) -> None:
    encoded = quote(password, safe="")
    address = f"postgresql://me:{encoded}@db:5432/x"
    if place == "query":
        address = f"postgresql://db:5432/x?user=me&password={encoded}"
    for spelling in (encoded, password, quote_plus(password), quote(password)):
        said = hide(f"cannot reach {address}: login of me with {spelling!s} failed", address)
        assert said.count(spelling) == 0 or spelling in "cannot reach login of me with failed"
        assert "cannot reach postgresql://" in said
        assert said.endswith("failed")


def test_a_password_of_another_address_goes_as_well() -> None:
    said = hide("proxy http://robot:hunter2@proxy:3128 refused", "http://127.0.0.1:5000")
    assert said == "proxy http://robot:***@proxy:3128 refused"

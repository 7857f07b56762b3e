"""Setup, login, tokens, CSRF: what clients and browsers rely on."""

from __future__ import annotations

import base64
import re

import pytest

from tests.integration.api.client import Api, text_of
from tests.integration.api.conftest import PASSWORD

SETUP = {"username": "root@example.com", "password": PASSWORD, "tenant": {"id": "main", "name": "Main"}}


def test_setup_creates_the_first_user_once(anonymous: Api) -> None:
    assert anonymous("GET", "/api/v1/setup")["done"] is False
    user = anonymous("POST", "/api/v1/setup", SETUP)
    assert user["instanceOwner"] is True
    assert user["superAdmin"] is True
    assert anonymous("GET", "/api/v1/setup")["done"] is True
    assert anonymous("POST", "/api/v1/setup", SETUP, expect=405)["code"] == "setup.done"


@pytest.mark.parametrize("password", ["short1A", "alllowercase1", "ALLUPPER123", "NoDigitsHere"])
def test_weak_passwords_are_refused_with_what_is_missing(anonymous: Api, password: str) -> None:
    answer = anonymous("POST", "/api/v1/setup", {**SETUP, "password": password}, expect=422)
    assert answer["code"] == "password.weak"
    assert "the password needs" in answer["message"]


def test_a_browser_signs_in_gets_a_csrf_token_and_makes_an_api_token(api: Api) -> None:
    browser = Api()
    assert (
        browser("POST", "/login", {"username": "root@example.com", "password": "Wrong!1234"}, expect=401)["code"]
        == "auth.password"
    )
    response = browser.raw("POST", "/login", {"username": "root@example.com", "password": PASSWORD})
    assert response.status_code == 200
    cookie = response.cookies["JWT"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert not cookie["secure"]

    page = browser.raw("GET", "/ui/")
    found = re.search(r'<meta name="csrf-token" content="([^"]+)">', page.content.decode())
    assert found is not None
    assert page.cookies["csrfToken"].value == found[1]
    assert "JWT" not in page.cookies
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]

    refused = browser("POST", "/api/v1/me/api-tokens", {"name": "ci", "maxAge": "P1D"}, expect=403)
    assert refused["code"] == "auth.csrf"
    token = browser("POST", "/api/v1/me/api-tokens", {"name": "ci", "maxAge": "P1D"}, headers={"X-CSRF-TOKEN": found[1]})
    assert token["fullToken"].startswith(token["prefix"])
    assert "exp" in token

    client = Api(token=token["fullToken"])
    assert client("GET", "/api/v1/me")["profile"]["username"] == "root@example.com"
    again = client("POST", "/api/v1/me/api-tokens", {"name": "ci"})
    assert "exp" not in again
    assert {row["name"] for row in client("GET", "/api/v1/me/api-tokens")["results"]} >= {"ci"}
    assert all("fullToken" not in row for row in client("GET", "/api/v1/me/api-tokens")["results"])
    client("DELETE", f"/api/v1/me/api-tokens/{again['id']}", expect=204)
    assert Api(token=again["fullToken"])("GET", "/api/v1/me", expect=401)["code"] == "auth.token"


def test_a_login_form_works_like_json(api: Api) -> None:
    body = "username=root%40example.com&password=Root%211234"
    assert Api().raw("POST", "/api/v1/login", body, "application/x-www-form-urlencoded").status_code == 200


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_basic_works_and_the_empty_pair_counts_as_absent(api: Api) -> None:
    client = Api()
    assert client("GET", "/api/v1/me", headers=_basic("root@example.com", PASSWORD))["instanceOwner"] is True
    assert client("GET", "/api/v1/me", headers=_basic("root@example.com", "Wrong!1234"), expect=401)
    client("GET", "/api/v1/me", headers=_basic("", ""), expect=401)
    client.raw("POST", "/login", {"username": "root@example.com", "password": PASSWORD})
    assert client("GET", "/api/v1/me", headers=_basic("", ""))["id"]


def test_a_wrong_bearer_is_401_even_beside_a_valid_cookie(api: Api) -> None:
    browser = Api()
    browser.raw("POST", "/login", {"username": "root@example.com", "password": PASSWORD})
    browser("GET", "/api/v1/me")
    browser("GET", "/api/v1/me", headers={"Authorization": "Bearer nonsense"}, expect=401)


def test_a_bearer_beside_a_cookie_is_not_hit_by_csrf(api: Api) -> None:
    api.http.cookies["JWT"] = "anything"
    api("POST", "/api/v1/me/api-tokens", {"name": "x"})


def test_logout_ends_the_session_of_the_browser(api: Api) -> None:
    browser = Api()
    browser.raw("POST", "/login", {"username": "root@example.com", "password": PASSWORD})
    browser("POST", "/logout")
    browser("GET", "/api/v1/me", expect=401)


def test_configuration_needs_a_caller_and_looks_like_the_contract(api: Api) -> None:
    Api()("GET", "/api/v1/configs", expect=401)
    assert api("GET", "/api/v1/configs")["version"].startswith("2.0.")


def test_unknown_tenant_is_404_and_never_falls_through(api: Api) -> None:
    assert api("GET", "/api/v1/elsewhere/flows/search", expect=404)["code"] == "tenant.missing"
    api("GET", "/api/v1/%7B%7B%20x%20%7D%7D/flows/search", expect=404)


def test_errors_are_json_with_every_field_clients_read(api: Api) -> None:
    body = api("GET", "/api/v1/main/nothing/here", expect=404)
    assert body["message"].startswith("Not Found")
    assert body["_links"]["self"]["href"] == "/api/v1/main/nothing/here"
    assert body["requestId"]
    response = Api().raw("GET", "/nowhere")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/json"
    assert api("PATCH", "/api/v1/main/flows/search", expect=405)["status"] == 405


def test_any_accept_and_any_content_type_is_answered(api: Api) -> None:
    for accept in ("text/event-stream", "application/octet-stream", "text/csv", "image/svg+xml", ""):
        api("GET", "/api/v1/main/flows/search", headers={"Accept": accept})
    api("GET", "/api/v1/main/flows/search", headers={"Content-Type": "application/x-yaml"})


def test_an_asset_of_an_earlier_build_is_404_and_any_other_page_is_the_console(api: Api) -> None:
    assert Api().raw("GET", "/ui/main/executions/a/b/c").headers["Content-Type"].startswith("text/html")
    assert Api().raw("GET", "/ui/assets/gone-12345678.js").status_code == 404
    assert Api().raw("GET", "/").headers["Location"] == "/ui/"
    assert text_of(Api().raw("GET", "/ping")) == "pong"

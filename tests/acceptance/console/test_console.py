"""The console keeps its promises: in a real browser, against the whole platform."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from cli.client import Client, Json
from tests.acceptance.console import flows
from tests.acceptance.console.proxy import CuttingProxy
from tests.support.platform import Platform

AXE = Path(__file__).parents[3] / "controlplane" / "console" / "node_modules" / "axe-core" / "axe.min.js"
PASSWORD = "Root!1234"


def by(name: str) -> str:
    """A selector of the stable test id."""
    return f"[data-testid={name}]"


def sign_in(page: Page, plane: Platform) -> None:
    """Through the login page, as the demonstration's administrator."""
    user, _, password = plane.login.partition(":")
    page.goto(f"{plane.address}/ui/login")
    page.fill(by("fld-username"), user)
    page.fill(by("fld-password"), password)
    page.click(by("btn-sign-in"))
    page.wait_for_selector(by("page-executions"))


def apply(client: Client, name: str) -> None:
    """Stores one of the flows."""
    client.apply_flow(flows.ALL[name], flows.NAMESPACE, name)


def start(client: Client, name: str, inputs: dict[str, str] | None = None) -> str:
    """Stores and starts one of the flows."""
    apply(client, name)
    return str(client.start(flows.NAMESPACE, name, inputs or {})["id"])


def address(plane: Platform, name: str, execution_id: str, tab: str = "overview") -> str:
    """Where an execution is shown."""
    return f"{plane.address}/ui/main/executions/{flows.NAMESPACE}/{name}/{execution_id}/{tab}"


def expect_state(page: Page, state: str, timeout: float = 30_000) -> None:
    """Waits for the state in the page's head."""
    expect(page.locator(f"{by('page-execution')} header {by('state')}").first).to_have_attribute(
        "data-state", state, timeout=timeout
    )


def expect_stream(page: Page, state: str, timeout: float = 10_000) -> None:
    """Waits for what the page says about its own freshness."""
    expect(page.locator(f"{by('page-execution')} header {by('live')}")).to_have_attribute("data-stream", state, timeout=timeout)


def shown_lines(page: Page) -> list[str]:
    """Every log line of the page as "task text", read by scrolling through all of it."""
    lines: list[str] = page.evaluate(
        """async () => {
          const box = document.querySelector('[role=log]')
          const found = []
          box.scrollTop = 0
          for (;;) {
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
            const rows = [...box.querySelectorAll('[data-testid=logline]')]
              .map(row => ({ top: new DOMMatrix(getComputedStyle(row).transform).m42, row }))
              .sort((a, b) => a.top - b.top)
            for (const { top, row } of rows) {
              found[Math.round(top / 18)] = `${row.dataset.task} ${row.querySelector('.text').textContent}`
            }
            if (box.scrollTop + box.clientHeight >= box.scrollHeight - 1) return found
            box.scrollTop += box.clientHeight
          }
        }"""
    )
    return lines


def stored_lines(client: Client, execution_id: str) -> list[str]:
    """The same from the API."""
    return [f"{entry['taskId']} {entry['message']}" for entry in client.logs(execution_id)]


def of_task(lines: list[str], task: str) -> list[str]:
    """Lines of one task, in order."""
    return [line for line in lines if line.startswith(f"{task} ")]


def test_setup_page_creates_the_first_user_once(browser: Browser, page: Page, tmp_path: Path) -> None:
    plane = Platform(tmp_path / "data", demo=False, workers=0)
    try:
        plane.start()
        page.goto(f"{plane.address}/ui/main/executions")
        page.wait_for_selector(by("page-setup"))
        page.fill(by("fld-username"), "ada@example.org")
        page.fill(by("fld-password"), "short")
        page.click(by("btn-finish"))
        expect(page.locator(by("err-password"))).to_contain_text("at least 8 characters")
        expect(page.locator(by("err-password"))).to_contain_text("a digit")
        page.fill(by("fld-password"), PASSWORD)
        page.click(by("btn-finish"))
        page.wait_for_selector(by("page-executions"))
        expect(page.locator(by("empty-executions"))).to_be_visible()

        other = browser.new_context().new_page()
        other.goto(f"{plane.address}/ui/setup")
        other.wait_for_selector(by("page-login"))
        other.context.close()
    finally:
        plane.close()


def test_wrong_password_gets_one_message_and_the_right_one_leads_where_one_wanted(page: Page, plane: Platform) -> None:
    user, _, password = plane.login.partition(":")
    page.goto(f"{plane.address}/ui/main/flows?q=nothing")
    page.wait_for_selector(by("page-login"))
    page.fill(by("fld-username"), user)
    page.fill(by("fld-password"), "wrong")
    page.click(by("btn-sign-in"))
    expect(page.locator(by("err-login"))).to_have_text("User name or password is wrong.")
    page.fill(by("fld-password"), password)
    page.click(by("btn-sign-in"))
    page.wait_for_selector(by("page-flows"))
    assert page.url.endswith("/ui/main/flows?q=nothing")

    page.click(by("btn-user"))
    page.click(by("btn-sign-out"))
    page.wait_for_selector(by("page-login"))
    page.goto(f"{plane.address}/ui/login?from=https://elsewhere.example/")
    page.fill(by("fld-username"), user)
    page.fill(by("fld-password"), password)
    page.click(by("btn-sign-in"))
    page.wait_for_selector(by("page-executions"))
    assert page.url.startswith(plane.address)


def test_list_shows_a_running_execution_and_turns_success_without_reload(page: Page, plane: Platform) -> None:
    client = plane.client()
    apply(client, "story")
    sign_in(page, plane)
    execution_id = start(client, "story")
    row = page.locator(f"{by('row')}[data-key='{execution_id}']")
    expect(row.locator(by("state"))).to_have_attribute("data-state", "RUNNING")
    expect(row.locator(by("state"))).to_have_attribute("data-state", "SUCCESS", timeout=30_000)
    expect(page.locator(by("live")).first).to_have_attribute("data-stream", "live")

    page.goto(f"{plane.address}/ui/main/executions?filters[state][IN]=FAILED&filters[flowId][EQUALS]=story")
    expect(page.locator(by("empty-executions-filtered"))).to_be_visible()
    page.click(by("btn-clear"))
    expect(row).to_be_visible()


def test_new_executions_wait_while_someone_points_at_the_list(page: Page, plane: Platform) -> None:
    client = plane.client()
    shown = start(client, "asking", {"rows": "1"})
    sign_in(page, plane)
    page.hover(f"{by('row')}[data-key='{shown}'] {by('cell-started')}")
    new = start(client, "asking", {"rows": "2"})
    page.wait_for_selector(by("btn-show-new"))
    assert page.locator(f"{by('row')}[data-key='{new}']").count() == 0
    page.click(by("btn-show-new"))
    expect(page.locator(f"{by('row')}[data-key='{new}']")).to_be_visible()


def test_execution_page_shows_states_bars_and_every_line_as_they_happen(page: Page, plane: Platform) -> None:
    client = plane.client()
    sign_in(page, plane)
    execution_id = start(client, "story")
    page.goto(address(plane, "story", execution_id))
    talk = page.locator(f"{by('node')}[data-task=talk]")
    expect(talk).to_have_attribute("data-state", "RUNNING")
    expect_stream(page, "live")
    expect(page.locator(by("sentence"))).to_contain_text("talk")

    page.click(by("tab-gantt"))
    bar = page.locator(f"{by('bar-row')}[data-task=talk] {by('bar')}[data-state=RUNNING]")
    expect(bar).to_be_visible()
    width = bar.bounding_box()
    assert width is not None and width["width"] > 0

    page.click(by("tab-logs"))
    page.wait_for_selector(by("logline"))
    expect_state(page, "SUCCESS")
    expect_stream(page, "complete")
    expect(page.locator(by("live-logs"))).to_have_attribute("data-stream", "complete")

    stored = stored_lines(client, execution_id)
    shown = shown_lines(page)
    assert sorted(shown) == sorted(stored)
    for task in ("talk", "mutter"):
        assert of_task(shown, task) == of_task(stored, task)
    assert [line for line in of_task(shown, "talk") if "talk talk" in line] == [f"talk talk {i}" for i in range(200)]

    page.click(by("tab-overview"))
    execution = client.execution(execution_id)
    page.wait_for_selector(f"{by('node')}[data-task=check]")
    on_page = {
        node.get_attribute("data-key"): node.get_attribute("data-state")
        for node in page.locator(f"{by('node')}[data-task]").all()
    }
    for run in execution["taskRunList"]:
        assert on_page[run["id"]] == run["state"]["current"], run["taskId"]
    assert page.locator(f"{by('node')}[data-task='#1']").count() == 1

    page.click(by("tab-gantt"))
    assert_bars_match_times(page, execution)


def assert_bars_match_times(page: Page, execution: Json) -> None:
    """Each working bar begins and ends within a pixel of where its times are."""
    from datetime import datetime

    def at(text: str) -> float:
        return datetime.fromisoformat(text).timestamp()

    state = execution["state"]
    begin, end = at(state["startDate"]), at(state["endDate"])
    for run in execution["taskRunList"]:
        if run["taskId"] not in ("talk", "mutter"):
            continue
        running = next(step for step in run["state"]["histories"] if step["state"] == "RUNNING")
        row = page.locator(f"{by('bar-row')}[data-key='{run['id']}']")
        track = row.locator(".track").bounding_box()
        bar = row.locator(f"{by('bar')}.solid").bounding_box()
        assert track is not None and bar is not None
        scale = track["width"] / (end - begin)
        assert bar["x"] == pytest.approx(track["x"] + (at(running["date"]) - begin) * scale, abs=1)
        assert bar["width"] == pytest.approx((at(run["state"]["endDate"]) - at(running["date"])) * scale, abs=1)


def test_page_says_within_five_seconds_that_the_server_is_gone_and_recovers_by_itself(page: Page, plane: Platform) -> None:
    client = plane.client()
    sign_in(page, plane)
    execution_id = start(client, "long")
    page.goto(address(plane, "long", execution_id, "logs"))
    page.wait_for_selector(by("logline"))
    expect_stream(page, "live")
    try:
        plane.kill()
        gone = time.monotonic()
        expect_stream(page, "stale", timeout=5_000)
        expect(page.locator(by("live-logs"))).to_have_attribute("data-stream", "stale", timeout=5_000)
        expect(page.locator(by("banner-unreachable"))).to_be_visible(timeout=5_000)
        assert time.monotonic() - gone < 5
    finally:
        plane.start()
    expect_stream(page, "live", timeout=15_000)
    expect(page.locator(by("banner-unreachable"))).to_have_count(0)
    expect_state(page, "SUCCESS", timeout=60_000)
    expect(page.locator(by("live-logs"))).to_have_attribute("data-stream", "complete", timeout=15_000)
    stored = stored_lines(client, execution_id)
    assert shown_lines(page) == stored
    lines = [line for line in stored if line.startswith("count line ")]
    assert lines == [f"count line {i}" for i in range(400)]


def test_connections_cut_every_moment_lose_and_double_nothing(page: Page, plane: Platform) -> None:
    client = plane.client()
    sign_in(page, plane)
    execution_id = start(client, "story")
    with CuttingProxy(plane.port) as proxy:
        # The cookie belongs to the host, whatever the port.
        page.goto(address(plane, "story", execution_id, "logs").replace(f":{plane.port}/", f":{proxy.port}/"))
        page.wait_for_selector(by("logline"))
        deadline = time.monotonic() + 30
        while client.execution(execution_id)["state"]["current"] == "RUNNING" and time.monotonic() < deadline:
            proxy.cut()
            page.wait_for_timeout(700)
        assert proxy.cuts >= 3
        expect_state(page, "SUCCESS")
        expect(page.locator(by("live-logs"))).to_have_attribute("data-stream", "complete", timeout=15_000)
        stored = stored_lines(client, execution_id)
        shown = shown_lines(page)
        assert sorted(shown) == sorted(stored)
        for task in ("talk", "mutter"):
            assert of_task(shown, task) == of_task(stored, task)


def test_hundred_thousand_lines_are_all_there_while_the_page_holds_a_screenful(page: Page, plane: Platform) -> None:
    client = plane.client()
    sign_in(page, plane)
    execution_id = start(client, "many")
    page.goto(address(plane, "many", execution_id, "logs"))
    expect_state(page, "SUCCESS", timeout=60_000)
    expect(page.locator(by("live-logs"))).to_have_attribute("data-stream", "complete", timeout=30_000)
    count = int(re.sub(r"\D", "", page.locator(by("line-count")).inner_text()))
    assert count >= 100_000
    assert page.locator(by("logline")).count() < 120
    page.fill(by("fld-search"), "line 77777 of")
    expect(page.locator(by("hits"))).to_have_text("1 of 1")
    expect(page.locator(f"{by('logline')}.now")).to_contain_text("line 77777 of many")
    page.reload()
    expect(page.locator(f"{by('logline')}.now")).to_contain_text("line 77777 of many", timeout=30_000)


def test_failed_execution_says_in_words_what_failed_and_shows_the_last_error_lines(page: Page, plane: Platform) -> None:
    client = plane.client()
    sign_in(page, plane)
    execution_id = start(client, "broken")
    plane.wait(client, execution_id)
    page.goto(address(plane, "broken", execution_id))
    expect(page.locator(by("sentence"))).to_contain_text("Failed in explode")
    expect(page.locator(by("card-error"))).to_contain_text("explode failed")
    expect(page.locator(by("failure-lines"))).to_contain_text("the warehouse refused the connection")
    page.click(by("btn-failure-logs"))
    page.wait_for_selector(by("logline"))
    assert {line.get_attribute("data-task") for line in page.locator(by("logline")).all()} == {"explode"}
    page.click(by("btn-level-ERROR"))
    expect(page.locator(by("logline")).first).to_have_attribute("data-level", "ERROR")
    assert "level=ERROR" in page.url


def test_kill_asks_once_and_ends_the_execution(page: Page, plane: Platform) -> None:
    client = plane.client()
    sign_in(page, plane)
    execution_id = start(client, "slow")
    page.goto(address(plane, "slow", execution_id))
    expect(page.locator(f"{by('node')}[data-task=wait]")).to_have_attribute("data-state", "RUNNING")
    page.click(by("btn-kill"))
    expect(page.locator(by("dlg-kill"))).to_contain_text("slow")
    page.click(by("btn-confirm-kill"))
    expect_state(page, "KILLED")
    assert client.execution(execution_id)["state"]["current"] == "KILLED"
    assert page.locator(by("btn-kill")).count() == 0


def test_execute_dialog_refuses_a_wrong_input_at_its_field_and_starts_with_the_right_one(page: Page, plane: Platform) -> None:
    client = plane.client()
    apply(client, "asking")
    sign_in(page, plane)
    page.goto(f"{plane.address}/ui/main/flows/edit/{flows.NAMESPACE}/asking")
    expect(page.locator(by("source"))).to_contain_text("Takes a number and a choice.")
    page.click(by("btn-execute"))
    page.fill(by("fld-rows"), "0")
    page.click(by("btn-start"))
    expect(page.locator(by("err-rows"))).to_have_text("rows must be at least 1.")
    page.fill(by("fld-rows"), "7")
    page.select_option(by("fld-mode"), "incremental")
    page.click(by("btn-start"))
    page.wait_for_selector(by("page-execution"))
    expect_state(page, "SUCCESS")
    page.click(by("tab-outputs"))
    expect(page.locator(by("outputs-values"))).to_contain_text("7 rows, incremental")


def test_data_tab_shows_what_a_script_loaded_with_dlt(page: Page, plane: Platform) -> None:
    client = plane.client()
    sign_in(page, plane)
    execution_id = start(client, "loading")
    execution = plane.wait(client, execution_id)
    assert execution["state"]["current"] == "SUCCESS", client.logs(execution_id)
    page.goto(address(plane, "loading", execution_id))
    page.click(by("tab-data"))
    expect(page.locator(f"{by('tbl-rows')} {by('row')}[data-key=orders] {by('cell-rows')}")).to_have_text("42")
    expect(page.locator(by("live-data"))).to_contain_text("new table orders")


def test_unknown_execution_is_said_to_be_unknown(page: Page, plane: Platform) -> None:
    sign_in(page, plane)
    page.goto(address(plane, "story", "0000000000000000000000"))
    expect(page.locator(by("empty-execution"))).to_contain_text("does not exist")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_keeps_to_the_origin_and_axe_finds_nothing_serious(browser: Browser, plane: Platform, theme: str) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: `npm ci` in controlplane/console")
    client = plane.client()
    failed, told = start(client, "broken"), start(client, "story")
    for execution_id in (failed, told):
        plane.wait(client, execution_id)
    context = browser.new_context(viewport={"width": 1024, "height": 768}, reduced_motion="reduce")
    page = context.new_page()
    foreign: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith(plane.address + "/"):
            foreign.append(request.url)

    page.on("request", note)
    page.add_init_script(f"localStorage.setItem('headrace.theme', '{theme}')")
    page.goto(f"{plane.address}/ui/login")
    page.wait_for_selector(by("page-login"))
    assert_accessible(page, "login")
    sign_in(page, plane)
    page.wait_for_selector(by("row"))
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert_accessible(page, "executions")
    for tab, mark in (
        ("overview", "node"),
        ("gantt", "bar-row"),
        ("logs", "logline"),
        ("outputs", "outputs-values"),
        ("data", "empty-data"),
    ):
        page.goto(address(plane, "story", told, tab))
        page.wait_for_selector(by(mark))
        assert_accessible(page, tab)
    page.goto(address(plane, "broken", failed))
    page.wait_for_selector(by("failure-lines"))
    page.click(f"{by('node')}[data-task=explode]")
    page.wait_for_selector(by("panel-task"))
    assert_accessible(page, "failed execution")
    page.goto(f"{plane.address}/ui/main/flows")
    page.wait_for_selector(by("row"))
    assert_accessible(page, "flows")
    page.goto(f"{plane.address}/ui/main/flows/edit/{flows.NAMESPACE}/story")
    page.wait_for_selector(by("source"))
    assert_accessible(page, "flow")
    page.click(by("btn-execute"))
    page.wait_for_selector(by("btn-start"))
    assert_accessible(page, "execute dialog")
    context.close()
    assert not foreign


def assert_accessible(page: Page, where: str) -> None:
    """No serious or critical violation on the page as it stands."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    serious = [
        f"{violation['id']}: {violation['help']}: {node['html'][:160]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert not serious, f"{where}: " + "\n".join(serious)

"""The page to look inside, in a real Chromium, worked by keyboard alone."""

from __future__ import annotations

import shutil

import httpx
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture
async def page(shared):
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = await browser.new_page(viewport={"width": 1100, "height": 900})
        trouble: list[str] = []
        opened.on("pageerror", lambda error: trouble.append(str(error)))
        opened.on(
            "console", lambda line: trouble.append(line.text) if "Content Security" in line.text else None
        )
        yield opened
        await browser.close()
        assert not trouble


def talk(http: httpx.Client, user: str, *texts: str, process: bool = True) -> None:
    made = http.post(f"{user}/sessions", json={"metadata": {"title": HOSTILE}}).json()["session"][
        "session_id"
    ]
    session = f"{user}/sessions/{made}"
    for text in texts:
        http.post(f"{session}/add-message", json={"message": text, "role": "user"})
    if process:
        http.post(f"{session}/process")
        while http.get(session).json()["session"]["status"] == "processing":
            pass


async def tab_to(page, text: str) -> None:
    """Press Tab until the focused element shows a text."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(
            "[document.activeElement.textContent.trim(), document.activeElement.id]"
        )
        if focused[0].startswith(text) or focused[1] == text:
            return
    pytest.fail(f"the keyboard does not reach {text!r}")


async def test_users_sessions_memories_conflicts_and_recall_are_shown_to_a_keyboard(
    page, shared, http, user_id
):
    http.post("/api/v1/users", json={"custom_user_id": user_id, "merge_conflict_enabled": True})
    user = f"/api/v1/users/{user_id}"
    talk(http, user, "I live in Porto.", "My favourite colour is blue.", f"I like {HOSTILE} a lot.")
    talk(http, user, "I moved to Lisbon.", "My favourite colour is red.")
    talk(http, user, HOSTILE, process=False)

    await page.goto(shared.base_url)
    await tab_to(page, user_id)
    await page.keyboard.press("Enter")
    await playwright.expect(page.locator("#more-users")).to_be_hidden()
    shown = page.locator("#user")
    await playwright.expect(shown).to_contain_text("Lisbon")
    await playwright.expect(shown).to_contain_text("version 2 of 2")
    await playwright.expect(shown).to_contain_text("PENDING")
    await playwright.expect(shown.locator(".state", has_text="pending").first).to_be_visible()

    await tab_to(page, "question")
    await page.keyboard.type("Where do I live?")
    await page.keyboard.press("Enter")
    await playwright.expect(shown.locator("pre")).to_contain_text("Lisbon")

    await tab_to(page, "pending")
    await page.keyboard.press("Enter")
    await playwright.expect(shown.locator(".message")).to_contain_text(HOSTILE)
    assert await page.title() == "RecallrAI local service"
    assert await page.locator("#user img, #user script").count() == 0


async def test_an_id_that_a_path_must_escape_can_be_looked_into(page, shared, http):
    user_id = "é <b> 100% & co"
    http.post("/api/v1/users", json={"custom_user_id": user_id, "metadata": {"note": HOSTILE}})
    await page.goto(shared.base_url)
    await page.get_by_role("button", name=user_id, exact=True).click()
    await playwright.expect(page.locator("#user h2").first).to_have_text(user_id)
    await playwright.expect(page.locator("#user")).to_contain_text("document.title")


async def test_a_wrong_key_is_told_and_mended(page, shared):
    await page.goto(shared.base_url)
    await page.fill("#key", "rai_wrong")
    await page.keyboard.press("Enter")
    await playwright.expect(page.locator("#trouble")).to_contain_text("Invalid API key")
    await page.fill("#key", shared.api_key)
    await page.keyboard.press("Enter")
    await playwright.expect(page.locator("#trouble")).to_be_empty()


def test_the_page_brings_nothing_from_elsewhere_and_holds_no_key_but_the_public_default(shared):
    answer = httpx.get(shared.base_url, trust_env=False)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http://" not in answer.text
    assert "https://" not in answer.text

"""The interactive pages, in a real browser."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_person_signs_in_and_sends_a_search_from_the_pages(filled):
    from playwright.sync_api import sync_playwright

    account = filled.accounts["ABCDEF"]
    errors, elsewhere = [], []
    with sync_playwright() as player:
        browser = player.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                elsewhere.append(asked.url)
                if not asked.url.startswith(filled.url)
                else None
            ),
        )
        page.goto(f"{filled.url}/docs")
        page.fill("#account", "ABCDEF")
        page.fill("#client", account["client_id"])
        page.fill("#secret", account["client_secret"])
        page.fill("#key", account["app_key"])
        page.click("#login button")
        page.get_by_text("Signed in for 900 s.").wait_for()
        assert page.locator("details").count() == 20
        box = page.locator("details", has_text="journeys:search")
        box.locator("summary").click()
        body = '{"startDate": "2026-11-10T00:00:00Z", "channelIds": ["Voice"]}'
        box.locator("textarea").fill(body)
        box.get_by_role("button", name="Send").click()
        box.locator("pre", has_text="200 OK").wait_for()
        answer = box.locator("pre").inner_text()
        browser.close()
    assert '"pagination"' in answer
    assert errors == elsewhere == []

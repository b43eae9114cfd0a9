"""`make docs-pictures`: the pictures of the UI in these pages, clicked as a test does.

They are written beside this file, under `pictures/`.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests" / part) for part in ("browser", "")]

import ui  # noqa: E402  the browser tests' own helper

from journeyport import rehearsal  # noqa: E402

FOLDER = HERE / "pictures"
DAYS = "[2026-03-14...2026-03-15]"


def main() -> int:
    """Take every picture; the number of them is printed."""
    if ui.chromium() is None:
        sys.stderr.write("There is no Chromium: install your system's package of it.\n")
        return 2
    FOLDER.mkdir(exist_ok=True)
    plan = rehearsal.Plan(days=2, engagements=400)
    with (
        tempfile.TemporaryDirectory() as folder,
        ui.house(Path(folder) / "home", plan) as house,
        ui.browser() as opened,
    ):
        clicks = ui.Clicks(opened, house.url)
        clicks.graph()
        shot(clicks, "graph")
        clicks.job("lake")
        clicks.choose_days(DAYS)
        clicks.page.get_by_text("2 partitions").first.wait_for()
        shot(clicks, "backfill")
        clicks.open("/assets/engagements?view=overview")
        clicks.page.get_by_text("source_address", exact=True).first.wait_for()
        shot(clicks, "table")
        clicks.open("/assets/engagements?view=events")
        clicks.page.get_by_text("[Show Markdown]").first.click()
        clicks.page.get_by_text("hour", exact=False).first.wait_for()
        shot(clicks, "chart")
        clicks.launch("crm_2_plan", days="2027-01-01", reason="a slip")
        clicks.told()
        shot(clicks, "one-sentence")
        asked = "2026-03-14 to 2026-03-15"
        clicks.launch("crm_2_plan", days=asked, reason="the weekend")
        clicks.told()
        shot(clicks, "plan")
    sys.stdout.write(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER}\n")
    return 0


def shot(clicks: ui.Clicks, name: str) -> None:
    """Keep what the page shows."""
    clicks.page.wait_for_timeout(1_500)  # drawn, not only loaded
    clicks.page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())

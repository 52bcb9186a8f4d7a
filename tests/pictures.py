"""Pictures of the console for its documentation, of an invented installation in Debian's Chromium.

    python -m tests.pictures [FOLDER]     # docs/images/console if not said

Each page of PAGES is opened as the operator who may see it, at 1280 pixels, light; some also dark, or narrow.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.filled import PASSWORD, make
from tests.headend.console.watched import SWITCHES, served

FOLDER = Path(__file__).parents[1] / "docs" / "images" / "console"
PAGES = {
    "overview": ("alice", "/"),
    "orders": ("alice", "/orders"),
    "suspense": ("alice", "/suspense"),
    "exports": ("alice", "/exports"),
    "popularity": ("bob", "/popularity"),
    "trends": ("bob", "/trends"),
    "budget": ("dana", "/budget"),
    "subscriber": ("dana", "/subscriber?account=nl-0005"),
    "requests": ("dana", "/requests"),
    "register": ("dana", "/register"),
    "people": ("charlie", "/people"),
}
DARK = ("popularity",)
NARROW = ("overview",)


def sign_in(page: Page, address: str, name: str) -> None:
    """Sign somebody in."""
    page.goto(f"{address}/console/sign-in")
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button.main").click()
    page.locator("nav.menu").wait_for()


def main() -> int:
    """Take all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="stb-pictures-"))
    with served(make(place, weeks=60)) as address, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=SWITCHES)
        for name, (who, path) in PAGES.items():
            for scheme, width in [
                ("light", 1280),
                *[("dark", 1280)] * (name in DARK),
                *[("light", 390)] * (name in NARROW),
            ]:
                page = browser.new_context(
                    color_scheme=scheme, viewport={"width": width, "height": 900}
                ).new_page()
                sign_in(page, address, who)
                page.goto(f"{address}/console{path}")
                suffix = ("-dark" if scheme == "dark" else "") + ("-narrow" if width < 1280 else "")
                page.screenshot(path=folder / f"{name}{suffix}.png", full_page=False)
                page.context.close()
                print(folder / f"{name}{suffix}.png")
        browser.close()
    shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())

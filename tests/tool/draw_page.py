# SPDX-License-Identifier: MIT
"""What `pagetable draw` made, in headless Chromium.

    draw_page.py test PAGE LARGE EMPTY               does it do what it should? Status 77: there is no browser
    draw_page.py picture PAGE ADDRESS SCHEME PNG     what it looks like when an address was searched for
"""
import pathlib
import re
import shutil
import sys

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

KINDS = ("rx", "r", "rw", "rwx", "none", "mixed")


def start():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--window-size=1440,1060"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)


class Page:
    def __init__(self, browser, file):
        self.browser = browser
        browser.get(pathlib.Path(file).resolve().as_uri())

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.one(selector).text

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def scheme(self, name):
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                     {"features": [{"name": "prefers-color-scheme", "value": name}]})

    def find(self, text):
        field = self.one("#address")
        field.clear()
        field.send_keys(text, Keys.ENTER)
        return self.text("#said")

    def hover(self, element):
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        ActionChains(self.browser).move_to_element(element).move_by_offset(3, 2).perform()

    def details(self):
        names = [e.text for e in self.all("#details dt")]
        values = [e.text for e in self.all("#details dd")]
        return dict(zip(names, values))

    def press(self, *keys):
        for key in keys:
            ActionChains(self.browser).send_keys(key).perform()

    def focused(self, attribute):
        return self.browser.switch_to.active_element.get_attribute(attribute)

    def face(self, first):
        return self.one(f'#picture .block[data-first="{first}"] .face')


def is_in(part, whole):
    assert part in whole, f"{part!r} is not in {whole!r}"


def equal(a, b):
    assert a == b, f"{a!r} is not {b!r}"


def test_elements(page):
    equal(len(page.all("#picture .block")), 7)
    equal(len(page.all("#picture .legend .face")), 9)
    equal(page.text("h1"), "x86_64 4-level")
    is_in("7 ranges", page.text("#facts"))
    equal(page.run("return performance.getEntriesByType('resource').length"), 0)
    # Each block says in words what its colours and patterns do.
    for element in page.all("#picture .block"):
        assert re.search(r"[r-][w-][x-][u-][g-]", element.text), element.text
        assert element.get_attribute("aria-label") and element.get_attribute("role") == "button"
    equal(len(page.all("#picture .block .device")), 1)
    equal(len(page.all("#picture .block .uncached")), 1)
    equal(len(page.all("#picture .block .user")), 5)


def test_names(page):
    """Names are text, whatever they look like."""
    assert page.run("return typeof bad") == "undefined"
    equal(page.all("img, b"), [])
    equal(len(page.all("script")), 3)
    is_in("<b>data</b>", page.text('.block[data-first="0x600000"]'))
    is_in("</script><img", page.text('.block[data-first="0x400000"]'))
    is_in("0x600000 is mapped", page.find("<b>DATA"))
    page.hover(page.face("0x600000"))
    equal(page.text("#details h3"), "<b>data</b>")


def test_hover(page):
    page.hover(page.face("0x40000000"))
    shown = page.details()
    is_in("0x40000000 to 0x7fffffff", shown["address"])
    is_in("1G", shown["size"])
    equal(shown["frame"], "0x40000000")
    is_in("rw-u- read, write, user", shown["rights"])
    equal(shown["memory"], "not cached")
    is_in("1 of 4", shown["level"])
    is_in("1 of the table at 0x", shown["index"])
    # NX, the frame, PS, PCD (the PAT's entry 2 is UC-), U/S, R/W, P; accessed and dirty do not matter.
    equal(int(shown["raw entry"], 16) & ~0x60, 0x8000000040000097)
    # What was clicked comes back when the pointer is elsewhere.
    page.face("0x700000").click()
    page.hover(page.face("0x800000"))
    is_in("0x800000 ", page.details()["address"])
    page.hover(page.one("h1"))
    is_in("0x700000 ", page.details()["address"])


def test_search(page):
    is_in("0x402abc is mapped: to 0x202abc, r-xu-, by a page of 4K", page.find("0x402abc"))
    equal([e.get_attribute("data-first") for e in page.all(".block.found")], ["0x400000"])
    chosen = page.one("[aria-selected=true] > .row")
    is_in("0x402000", chosen.text)
    equal(page.details()["frame"], "0x202000")
    assert page.run("const r = arguments[0].getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight",
                    chosen), "not in sight"
    is_in("by a page of 1G", page.find("FFFF8000_40000123"))
    assert "missing" not in page.one("#said").get_attribute("class")
    # Misses: in a table, in none, no address, no number.
    is_in("0x603000 is not mapped: entry 3 of the table at 0x", page.find("603000"))
    is_in("level 3", page.text("#said"))
    equal(page.all(".block.found"), [])
    is_in("0x600000", page.text("[aria-selected=true] > .row"))
    is_in("missing", page.one("#said").get_attribute("class"))
    is_in("entry 100 of the table at 0x100000, level 0", page.find(f"{100 << 39:x}"))
    is_in("is no address", page.find("0x800000000000"))
    is_in("is no address", page.find("0x10000000000000000"))
    is_in("neither an address", page.find("zebra"))
    is_in("0xffff800000000000 is mapped", page.find("Linear"))


def test_tree(page):
    def item(text):
        return next(e for e in page.all("#tree [role=treeitem]") if text in e.find_element(By.CSS_SELECTOR, ".row").text)

    equal(len(page.all("#tree > [role=treeitem]")), 3)
    equal(len(page.all("#tree [role=group]")), 0)
    item("0xffff800000000000").find_element(By.CSS_SELECTOR, ".row").click()
    run = item("4 × 1G")
    is_in("0–3", run.text)
    run.find_element(By.CSS_SELECTOR, ".row").click()
    equal(run.get_attribute("aria-expanded"), "true")
    equal(len(run.find_elements(By.CSS_SELECTOR, "[role=treeitem]")), 4)
    page.hover(run.find_elements(By.CSS_SELECTOR, ":scope > [role=group] .row")[2])
    is_in("0xffff800080000000 ", page.details()["address"])
    equal(page.details()["frame"], "0x80000000")
    # By keyboard: up to the first, open it, in, out, close it; down to the last.
    page.run("document.querySelector('#tree [tabindex=\"0\"]').focus()")
    page.press(Keys.HOME, Keys.ARROW_RIGHT)
    equal(page.focused("aria-expanded"), "true")
    page.press(Keys.ARROW_RIGHT)
    is_in("0x0 ", page.details()["address"])
    is_in("1 of 4", page.details()["level"])
    page.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    equal(page.focused("aria-expanded"), "false")
    page.press(Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.END)
    is_in("0xffffff8000000000", page.browser.switch_to.active_element.text)
    page.press(Keys.ENTER)
    equal(page.focused("aria-selected"), "true")


def test_keyboard(page):
    page.press("/")
    equal(page.focused("id"), "address")
    page.run("document.querySelector('.block[tabindex=\"0\"]').focus()")
    page.press(Keys.HOME, Keys.ARROW_DOWN)
    equal(page.focused("data-first"), "0x600000")
    is_in("0x600000 ", page.details()["address"])
    page.press(Keys.ENTER)
    is_in("found", page.focused("class"))


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_schemes(page):
    """Text has a contrast of 4.5, edges and bricks have one of 3, in both schemes (WCAG 1.4.3, 1.4.11)."""
    grounds = []
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        ground = page.run("return getComputedStyle(document.body).backgroundColor")
        grounds.append(ground)
        text, faint, panel = (page.run("const e = document.createElement('i'); document.body.append(e);"
                                       "e.style.color = `var(--${arguments[0]})`; const c = getComputedStyle(e).color;"
                                       "e.remove(); return c", name) for name in ("text", "faint", "panel"))
        for back in (ground, panel):
            assert contrast(faint, back) >= 4.5, (scheme, "faint", contrast(faint, back))
        for kind in KINDS:
            face = page.one(f"#picture .legend .{kind} .face")
            fill, edge = (face.value_of_css_property(name) for name in ("fill", "stroke"))
            assert contrast(text, fill) >= 4.5, (scheme, kind, "text", contrast(text, fill))
            assert contrast(edge, ground) >= 3, (scheme, kind, "edge", contrast(edge, ground))
    page.scheme("")
    assert luminance(grounds[0]) > 0.8 and luminance(grounds[1]) < 0.05, grounds


def test_large(page):
    """A hundred thousand pages: few elements until they are wanted."""
    elements = page.run("return document.querySelectorAll('*').length")
    assert 1000 < elements < 8000, elements
    assert 100 <= len(page.all("#picture .block")) <= 300, len(page.all("#picture .block"))
    assert page.run("return performance.timing.loadEventEnd - performance.timing.navigationStart") < 20000
    last = 0x10000000 + 99999 * 0x2000
    is_in(f"{last:#x} is mapped", page.find(f"{last:x}"))
    is_in(f"{last:#x}", page.text("[aria-selected=true] > .row"))
    equal(len(page.all(".block.found")), 1)
    is_in("is not mapped", page.find(f"{last + 0x1000:x}"))
    equal(page.all(".block.found"), [])
    # A table has 256 pages, each by itself: some of them, and then the others.
    page.find("10000000")
    is_in("56 more", page.text(".more-items"))
    before = len(page.all(".more-items"))
    page.one(".more-items .row").click()
    equal(len(page.all(".more-items")), before - 1)
    # A block of many ranges lists them; each can be gone to.
    page.all("#picture .block")[5].find_element(By.CSS_SELECTOR, ".face").click()
    buttons = page.all("#details li button")
    equal(len(buttons), 60)
    address = buttons[1].text.split()[0]
    buttons[1].click()
    is_in(f"{address} is mapped", page.text("#said"))
    assert page.run("return document.querySelectorAll('*').length") < 16000


def test_empty(page):
    is_in("nothing is mapped", page.text("#picture"))
    is_in("0 ranges", page.text("#facts"))
    is_in("0x1000 is not mapped: entry 0 of the table at 0x0, level 0", page.find("0x1000"))


def test(browser, rich, large, empty):
    of_rich = (test_elements, test_names, test_hover, test_search, test_tree, test_keyboard, test_schemes)
    for file, tests in ((rich, of_rich), (large, (test_large,)), (empty, (test_empty,))):
        for one in tests:
            one(Page(browser, file))
            equal(browser.get_log("browser"), [])
            print(f"ok: {one.__name__}")


def picture(browser, file, address, scheme, png):
    page = Page(browser, file)
    page.scheme(scheme)
    page.find(address)
    page.run("document.activeElement.blur(); scrollTo(0, 0)")
    browser.save_screenshot(png)


def main():
    try:
        browser = start()
    except WebDriverException as problem:
        print(problem)
        sys.exit(77)
    try:
        {"test": test, "picture": picture}[sys.argv[1]](browser, *sys.argv[2:])
    finally:
        browser.quit()


if __name__ == "__main__":
    main()

"""The page in a browser: what a person filters, sorts, plays and downloads, without a network."""

import json
import sys
import time

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "bench"))
import page as bench

pytestmark = pytest.mark.slow
COUNT, FOLDS = 60, 2
NAMES = ("context", "full", "linear", "speech-only")  # of the variants, in the page's order


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A page of made-up utterances, with a text that looks like HTML, and with audio."""
    folder = tmp_path_factory.mktemp("page")
    variants = {name: bench.VARIANTS[name] for name in NAMES}
    bench.write_study(folder, COUNT, FOLDS, variants, rate=16_000)
    return bench.write_page(folder, audio=True)


@pytest.fixture(scope="module")
def driver(chromium, path):
    made = bench.chromium()
    yield made
    made.quit()


@pytest.fixture
def opened(driver, path):
    """The page, just opened; what it asked for and complained of is read afterwards."""
    driver.get_log("performance")
    driver.get_log("browser")
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.get(path.as_uri())
    wait(driver, "performance.getEntriesByName('browser').length")
    yield driver
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert driver.get_log("browser") == []


def wait(driver, condition, seconds=30):
    """Wait until a condition in JavaScript holds."""
    end = time.monotonic() + seconds
    while not driver.execute_script(f"return {condition}"):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def choose(driver, field, value):
    """Set a field of the form as a person would, and wait for its variant's salience."""
    driver.execute_script(bench.FILTER, field, value)
    if field == "variant":
        has = bool(bench.VARIANTS[NAMES[value]])
        wait(
            driver,
            f"document.getElementById('filters').elements.colour.disabled !== {str(has).lower()}",
        )


def texts(driver, selector):
    script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
    return driver.execute_script(script, selector)


def count(driver):
    """How many utterances the page says that it found."""
    said = driver.execute_script("return document.getElementById('count').textContent")
    return int(said.split(" utterance")[0].split()[-1])


def pressed(driver, selector):
    """Press a button by the keyboard."""
    from selenium.webdriver import Keys

    button = driver.find_element("css selector", selector)
    driver.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    return button


def rows(path):
    """What the variants say of the utterances, by pandas from the tables of predictions."""
    from labelmer.base import tables

    found = tables.read_all((path.parents[1] / "predictions").glob("*/*.tsv"), "predictions")
    found = found[found["part"] == "test"]
    return found.assign(confidence=found.filter(like="p_").max(axis=1))


def test_filters_let_through_what_the_predictions_say(opened, path):
    assert count(opened) == COUNT
    number = NAMES.index("linear")
    choose(opened, "variant", number)
    linear = rows(path).query("variant == 'linear'")
    choose(opened, "outcome", "wrong")
    wrong = linear[linear["true"] != linear["predicted"]]
    assert count(opened) == len(wrong) > 0
    choose(opened, "label", 1)
    choose(opened, "fold", 2)
    assert count(opened) == len(wrong.query("true == 'happy' and fold == 2"))
    pressed(opened, "#filters [type=reset]")
    wait(opened, "document.getElementById('filters').elements.outcome.value === ''")
    choose(opened, "variant", number)
    choose(opened, "predicted", 3)
    choose(opened, "least", 70)
    sad = linear.query("predicted == 'sad'")
    assert count(opened) == (sad["confidence"] >= 0.7).sum()  # none is within a rounding of it
    choose(opened, "least", 0)
    choose(opened, "predicted", "")
    choose(opened, "words", linear["id"].iloc[0])
    assert texts(opened, "#list .id") == [linear["id"].iloc[0]]
    assert texts(opened, "#count") == ["1 to 1 of 1 utterance; 60 in all"]


def test_utterances_are_sorted_and_turned_over(opened, path):
    choose(opened, "variant", NAMES.index("full"))
    choose(opened, "order", "surest")
    full = rows(path).query("variant == 'full'")
    sure = [int(text[:-1]) for text in texts(opened, "#list .sure")]
    assert sure == sorted(sure, reverse=True) and len(sure) == 20
    assert abs(sure[0] - 100 * full["confidence"].max()) < 1
    pressed(opened, "#pages button:last-child")
    wait(opened, "document.getElementById('count').textContent.startsWith('21 to 40')")
    assert int(texts(opened, "#list .sure")[0][:-1]) <= sure[-1]


def test_a_text_that_looks_like_html_stays_text(opened):
    choose(opened, "words", "</script>")
    assert [text.replace("▢", "") for text in texts(opened, "#list .words")] == [bench.ODD]
    assert opened.title != "run" and texts(opened, "#list b") == []


def test_colours_follow_salience_and_what_is_said_of_a_class(opened):
    from selenium.webdriver import Keys

    choose(opened, "variant", NAMES.index("full"))
    says = [f"says {name}" for name in bench.CLASSES]
    assert texts(opened, "[name=colour] option") == ["salience", *says]
    heat = "[...document.querySelectorAll('#list .words .heat')].map((e) => e.style.cssText)"
    before = opened.execute_script(f"return {heat}")
    opened.find_element("name", "colour").send_keys(Keys.END)  # says sad
    assert opened.execute_script(f"return {heat}") != before
    assert all(text.startswith("Says sad most: ") for text in texts(opened, "#list .most"))
    bars = opened.execute_script(
        "return document.querySelectorAll('#list .sound rect.heat').length"
    )
    assert bars > 20
    choose(opened, "variant", NAMES.index("linear"))
    assert texts(opened, "#list .heat") == []


def test_every_variant_and_the_turns_before_stand_in_the_details(opened, path):
    choose(opened, "variant", NAMES.index("context"))
    pressed(opened, "#list li:nth-child(3) summary")
    wait(opened, "document.querySelectorAll('#list li:nth-child(3) .turns li').length")
    name = texts(opened, "#list li:nth-child(3) .id")[0]
    shown = rows(path)[lambda frame: frame["id"] == name].set_index("variant")
    assert texts(opened, "#list li:nth-child(3) tbody th") == list(NAMES)
    cells = texts(opened, "#list li:nth-child(3) tbody tr:first-child td")
    first = 100 * shown.loc[NAMES[0]].filter(like="p_").astype(float)
    assert all(abs(float(cell) - value) <= 1 for cell, value in zip(cells, first, strict=True))
    assert len(texts(opened, "#list li:nth-child(3) .turns li")) == 2


def test_an_utterance_is_played_and_paused_by_the_keyboard(opened):
    choose(opened, "order", "longest")
    button = pressed(opened, "#list li:first-child .play")
    line = "document.querySelector('#list .now').getAttribute('x')"
    wait(opened, f"{line} > 0.1")
    assert button.text == "Pause" and button.get_attribute("aria-label").startswith("Pause Ses")
    pressed(opened, "#list li:first-child .play")
    wait(opened, "document.querySelector('#list .play').textContent === 'Play'")


def test_a_list_is_chosen_from_by_a_click(opened, path):
    from selenium.webdriver.support.ui import Select

    Select(opened.find_element("name", "variant")).select_by_value(str(NAMES.index("full")))
    Select(opened.find_element("name", "outcome")).select_by_value("wrong")
    full = rows(path).query("variant == 'full'")
    wrong = (full["true"] != full["predicted"]).sum()
    wait(opened, f"document.getElementById('count').textContent.includes(' {wrong} utterances')")


def test_the_theme_is_that_of_the_system_until_another_is_chosen(opened):
    from selenium.webdriver.support.ui import Select

    def back():
        return opened.execute_script("return getComputedStyle(document.body).backgroundColor")

    def system(theme):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    system("dark")
    dark = back()
    system("light")
    light = back()
    assert light == "rgb(255, 255, 255)" != dark
    Select(opened.find_element("id", "theme")).select_by_visible_text("dark")
    assert back() == dark
    system("dark")
    Select(opened.find_element("id", "theme")).select_by_visible_text("light")
    assert back() == light


@pytest.mark.parametrize("width", [390, 800, 1600])
def test_nothing_but_a_table_is_moved_sideways(opened, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    choose(opened, "variant", NAMES.index("context"))
    opened.execute_script("document.querySelector('#filters [name=open]').click()")
    opened.execute_script("document.querySelectorAll('details').forEach((e) => (e.open = true))")
    wide = opened.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


def test_a_table_is_sorted_by_its_heads(opened):
    head = "section table thead tr:last-child th:nth-child(2)"
    cells = "section table tbody tr td:nth-child(2)"
    table = "document.querySelector('section table')"
    column = f"[...{table}.tBodies[0].rows].map((row) => parseFloat(row.cells[1].textContent))"
    before = opened.execute_script(f"return {column}")
    for order in ("ascending", "descending"):  # it stands in descending order
        pressed(opened, f"{head} button")
        assert opened.find_element("css selector", head).get_attribute("aria-sort") == order
        wanted = sorted(before, reverse=order == "descending")
        assert opened.execute_script(f"return {column}") == wanted
    assert len(texts(opened, cells)) >= len(before)


def test_how_a_table_is_sorted_is_told_and_what_is_missing_stands_last(opened):
    column = 8  # Holm's p of the differences from the first, which itself has none
    pressed(opened, f"section table thead tr:last-child th:nth-child({column}) button")
    assert texts(opened, "#told") == ["Sorted by p (Holm), descending"]
    rows = "document.querySelector('section table').tBodies[0].rows"
    cells = opened.execute_script(f"return [...{rows}].map((r) => r.cells[{column - 1}].innerText)")
    assert cells[-1].strip() == "" and len(cells) == len(NAMES)
    script = """const [table] = document.querySelectorAll("table");
      const set = (row, text) => (row.cells[1].textContent = text);
      [...table.tBodies[0].rows].forEach((row, n) => set(row, ["–", "−2.5", "1,000", "< 0.5"][n]));
      sort(table, 1, 1);
      return [...table.tBodies[0].rows].map((row) => row.cells[1].textContent)"""
    assert opened.execute_script(script) == ["−2.5", "< 0.5", "1,000", "–"]


def test_what_is_cut_off_fades_and_can_be_reached_by_the_keyboard(opened):
    size = {"width": 1600, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    box = "document.querySelector('section .wide')"
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wait(opened, f"!{box}.hasAttribute('tabindex')")  # all of it is seen
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size | {"width": 390})
    wait(opened, f"{box}.classList.contains('more')")
    shown = [f"{box}.{what}" for what in ("tabIndex", "role", "ariaLabel")]
    assert opened.execute_script(f"return [{','.join(shown)}]") == [
        *(0, "region", "Variants compared")
    ]
    opened.execute_script(f"{box}.scrollLeft = 1e4")
    wait(opened, f"{box}.className === 'wide'")


def test_in_short_leads_to_the_most_frequent_error(opened, path):
    link = pressed(opened, ".short a[data-variant]")
    wanted = [link.get_attribute(f"data-{name}") for name in ("variant", "label", "predicted")]
    variant, true, predicted = wanted
    of_variant = rows(path)[lambda table: table["variant"] == variant]
    found = of_variant.query("true == @true and predicted == @predicted")
    wait(opened, f"document.getElementById('count').textContent.includes(' {len(found)} utter')")
    assert set(texts(opened, "#list .true")) == {true}
    assert set(texts(opened, "#list .said")) == {predicted}


def test_every_control_has_a_name_and_the_count_is_told(opened):
    nameless = """return [...document.querySelectorAll("button, select, input, svg, nav, summary")]
      .filter((e) => !(e.getAttribute("aria-label") || e.labels?.length || e.textContent.trim()))
      .map((e) => e.outerHTML.slice(0, 200))"""
    assert opened.execute_script(nameless) == []
    assert opened.find_element("id", "count").get_attribute("aria-live") == "polite"

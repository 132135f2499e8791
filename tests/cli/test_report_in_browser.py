"""The report as a person meets it: in a browser, by mouse and by keyboard, from ``file://``."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from made_study import CLASSES, EVIL, GRID, LABELS, SUBJECTS, values_of, whole_study
from PIL import Image

from voxplain.cohort import fsaverage, load_atlas
from voxplain.pipeline.report.options import ReportOptions
from voxplain.pipeline.report.run import write_report
from voxplain.progress import Silent
from voxplain.study import Study

pytestmark = pytest.mark.xdist_group("browser")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
axe_file = pytest.importorskip("axe_playwright_python.base", reason="needs axe").AXE_FILE_PATH
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("needs Debian's chromium: apt-get install chromium", allow_module_level=True)

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
AXE = f"axe.run({{runOnly: {RULES}}}).then(r => r.violations.map(v => [v.id, v.nodes[0].html]))"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = whole_study(tmp_path_factory.mktemp("browser") / "study")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("voxplain.report.figures.style.DPI", 60)
        options = ReportOptions(made.folder, subjects=3, everyone=True, figures=False)
        write_report(options, Silent())
    return made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as started:
        # WebGL is off: nothing of the page may ask for it.
        flags = ["--no-sandbox", "--disable-gpu", "--disable-webgl", "--disable-webgl2"]
        browser = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


class Seen:
    """A page, and all that it said and asked for."""

    def __init__(self, browser: Any, path: Path, **how: Any) -> None:
        self.context = browser.new_context(**how)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def part(self, name: str) -> Any:
        return self.page.locator(f'.maps [data-part="{name}"]')

    def readout(self, start: str = "x ") -> str:
        self.part("coronal").scroll_into_view_if_needed()
        found = self.part("readout")
        sync_api.expect(found).to_contain_text(re.compile(re.escape(start)))
        return str(found.text_content())

    def value(self) -> float:
        text = re.search(r"mm: ([−\d.e]+) ", self.readout())
        assert text
        return float(text[1].replace("−", "-"))

    def place(self) -> list[int]:
        found = re.search(r"x (\S+), y (\S+), z (\S+) mm", self.readout())
        assert found
        return [int(x.replace("−", "-")) for x in found.groups()]


@pytest.fixture
def seen(chromium: Any, study: Study) -> Iterator[Seen]:
    one = Seen(chromium, study.folder / "report.html", viewport={"width": 1200, "height": 900})
    yield one
    one.context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1600), ("dark", 400)])
def test_nothing_stands_in_anyone_s_way(
    chromium: Any, study: Study, scheme: str, width: int
) -> None:
    how = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    one = Seen(chromium, study.folder / "report.html", has_touch=True, **how)
    peak = one.place()
    one.part("axial").tap(position={"x": 60, "y": 60})
    assert one.place()[2] == peak[2]
    assert one.place() != peak
    one.page.locator("#scans .cases summary").first.click()
    one.page.evaluate(Path(axe_file).read_text(encoding="utf-8"))
    assert one.page.evaluate(AXE) == []
    wide = one.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    assert one.said == []
    assert one.asked == [(study.folder / "report.html").as_uri()]
    one.context.close()


def test_the_viewer_opens_at_the_peak_and_prints_its_own_value(seen: Seen) -> None:
    text = seen.readout()
    mean = values_of("gradient")[LABELS == 0].mean(axis=0)
    voxel = tuple(np.rint(GRID.to_voxel(seen.place())).astype(int))
    assert seen.value() == pytest.approx(float(mean[voxel]), abs=5e-3)
    atlas = load_atlas("AAL").on(GRID)
    assert text.endswith(f" logit; {atlas.names[int(atlas.labels[voxel])].replace('_', ' ')}")


def test_the_picture_has_the_colours_of_the_values(seen: Seen) -> None:
    x, y, z = seen.place()
    mean = values_of("gradient")[LABELS == 0].mean(axis=0)
    turned = nib.as_closest_canonical(nib.Nifti1Image(mean, GRID.affine))
    i, j, k = np.rint(np.linalg.solve(turned.affine, [x, y, z, 1])[:3]).astype(int)
    plane = turned.get_fdata()[:, j]
    shown = Image.open(BytesIO(seen.part("coronal").screenshot())).convert("RGB")
    wide, high = (size / count for size, count in zip(shown.size, plane.shape, strict=True))
    pixels = np.asarray(shown, dtype=int)
    looked = 0
    for a, b in np.argwhere(np.ones_like(plane, dtype=bool)):
        red, _, blue = pixels[int((plane.shape[1] - b - 0.5) * high), int((a + 0.5) * wide)]
        # The cross lies over its row and column; air is white whatever the value.
        if a == i or b == k or min(red, blue) > 245:
            continue
        share = plane[a, b] / np.abs(mean).max()
        if abs(share) > 0.3:
            assert np.sign(red - blue) == np.sign(share)
            assert abs(red - blue) > 40
            looked += 1
        elif abs(share) < 0.02:
            assert abs(red - blue) < 6
            looked += 1
    assert looked > 20


def test_keys_and_the_mouse_move_the_cross(seen: Seen) -> None:
    x, y, z = seen.place()
    step = GRID.voxel_size
    seen.part("axial").focus()
    seen.page.keyboard.press("ArrowRight")
    seen.page.keyboard.press("PageUp")
    moved = seen.place()
    assert moved == pytest.approx([x + step[0], y, z + step[2]], abs=1)
    mean = values_of("gradient")[LABELS == 0].mean(axis=0)
    voxel = np.rint(GRID.to_voxel(moved)).astype(int)
    assert seen.value() == pytest.approx(float(mean[tuple(voxel)]), abs=5e-3)
    box = seen.part("coronal").bounding_box()
    seen.page.mouse.click(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.4)
    clicked = seen.place()
    assert clicked[1] == moved[1]
    assert clicked[0] > moved[0]
    assert clicked[2] > moved[2]
    seen.part("peak").click()
    assert seen.place() == [x, y, z]


def test_every_control_shows_another_picture(seen: Seen) -> None:
    seen.readout()
    pictures = [seen.part("coronal").screenshot()]

    def changed(text: str) -> None:
        assert text in seen.readout(text)
        pictures.append(seen.part("coronal").screenshot())
        assert pictures[-1] != pictures[-2]

    seen.part("method").select_option("SmoothGrad")
    changed("logit")
    seen.part("target").select_option(CLASSES[1])
    changed("logit")
    seen.part("threshold").focus()
    seen.page.keyboard.press("Home")
    changed("logit")
    seen.part("opacity").focus()
    seen.page.keyboard.press("End")
    changed("logit")
    seen.part("colours").select_option("purple–orange")
    changed("logit")
    seen.part("regions").check()
    changed("logit")
    seen.part("statistic").select_option("corrected p, voxels")
    # There is a test of one method and class alone, which the viewer says.
    changed("There is no such map; shown is that of method Gradient, class control.")
    assert "p = " in seen.readout()
    assert seen.said == []


def test_a_single_scan_is_shown_from_the_page_and_from_beside_it(seen: Seen) -> None:
    seen.page.locator("#scans .cases summary").nth(1).click()
    seen.page.get_by_role("button", name="Show in the viewer").nth(0).click()
    values = values_of("gradient")

    def right(row: int) -> None:
        name = f"sub-{SUBJECTS[row]}"
        seen.page.wait_for_function(
            "name => document.querySelector('[data-part=axial]').ariaLabel.includes(name)", arg=name
        )
        assert seen.part("subject").input_value() == name
        assert seen.part("statistic").input_value() == "single map"
        voxel = tuple(np.rint(GRID.to_voxel(seen.place())).astype(int))
        wanted = float(values[row][voxel])
        # The three digits that are printed, and the steps that are kept.
        near = max(abs(wanted) / 200, float(np.abs(values[row]).max()) / 2000)
        assert seen.value() == pytest.approx(wanted, abs=near)

    right(7)
    seen.part("subject").select_option(f"sub-{EVIL}")
    right(SUBJECTS.index(EVIL))
    assert seen.said == []
    page, script = seen.asked
    assert script.startswith(page.removesuffix("report.html") + "report-scans/")


def cortex_values(row: int | None = None) -> np.ndarray:
    values = values_of("gradient")
    shown = values[LABELS == 0].mean(axis=0) if row is None else values[row]
    # Beyond the head nothing is kept; the head is that of the grey picture.
    return fsaverage().read(shown, GRID)


def test_the_cortex_shows_the_map_and_says_where_it_is_strongest(seen: Seen) -> None:
    seen.readout()
    told = seen.part("cortex-top")
    sync_api.expect(told).to_contain_text("Strongest on the cortex that is shown")
    cortex, values = fsaverage(), cortex_values()
    seen.part("view").select_option("both, from above")
    found = re.search(r"x (\S+), y (\S+), z (\S+) mm: (\S+) logit", str(told.text_content()))
    assert found
    place = [float(x.replace("−", "-")) for x in found.groups()]
    best = int(np.abs(values).argmax())
    middle = (cortex.pial + cortex.white)[best] / 2
    assert place[:3] == pytest.approx(middle.tolist(), abs=0.6)
    assert place[3] == pytest.approx(float(values[best]), rel=0.02)
    name = str(seen.part("cortex").get_attribute("aria-label"))
    assert name.startswith("inflated surface, both, from above; strongest: x ")
    seen.part("view").select_option("left, lateral")
    left = re.search(r"mm: (\S+) logit", str(told.text_content()))
    assert left
    wanted = float(np.abs(values[: cortex.half]).max())
    assert abs(float(left[1].replace("−", "-"))) == pytest.approx(wanted, rel=0.02)


def test_the_cortex_turns_by_keys_and_mouse_and_moves_the_cross(seen: Seen) -> None:
    before = seen.place()
    canvas = seen.part("cortex")
    sync_api.expect(canvas).to_have_attribute("aria-label", re.compile("Arrow keys turn it"))
    seen.part("view").select_option("both, from above")
    pictures = [canvas.screenshot()]
    canvas.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowUp"):
        seen.page.keyboard.press(key)
        pictures.append(canvas.screenshot())
        assert pictures[-1] != pictures[-2]
    seen.page.keyboard.press("Home")
    assert canvas.screenshot() == pictures[0]
    box = canvas.bounding_box()
    centre = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    seen.page.mouse.move(*centre)
    seen.page.mouse.down()
    seen.page.mouse.move(centre[0] + 40, centre[1] + 15, steps=4)
    seen.page.mouse.up()
    assert seen.place() == before
    assert canvas.screenshot() != pictures[0]
    # From above, the left is on the left and the front above.
    seen.page.keyboard.press("Home")
    canvas.click(position={"x": box["width"] * 0.38, "y": box["height"] * 0.25})
    x, y, z = seen.place()
    assert x < -10
    assert y > 10
    assert z > 20
    seen.part("surface").select_option("pial")
    assert canvas.screenshot() != pictures[0]
    assert seen.said == []


def test_a_scan_that_is_not_there_is_said(chromium: Any, study: Study, tmp_path: Path) -> None:
    alone = tmp_path / "report.html"
    alone.write_bytes((study.folder / "report.html").read_bytes())
    one = Seen(chromium, alone)
    one.readout()
    one.part("subject").select_option(f"sub-{SUBJECTS[10]}")
    assert "are not beside this page" in one.readout("not beside")
    one.context.close()


def test_it_prints_on_few_pages_with_nothing_cut(seen: Seen) -> None:
    seen.readout()
    seen.page.emulate_media(media="print")
    seen.page.set_viewport_size({"width": 690, "height": 980})
    cut = seen.page.evaluate(
        "[...document.querySelectorAll('main img, main table, main pre')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    assert cut == []

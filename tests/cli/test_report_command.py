"""``voxplain report``: whatever a study holds, on one page."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable
from html import escape, unescape
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from made_study import (
    CLASSES,
    EVIL,
    GRID,
    LABELS,
    SUBJECTS,
    WRONG,
    add_fit,
    add_maps,
    add_trust,
    bare_study,
    values_of,
    whole_study,
)

from voxplain.cohort import fsaverage
from voxplain.pipeline.report.options import ReportOptions
from voxplain.pipeline.report.run import write_report
from voxplain.pipeline.report.scans import judge_scans
from voxplain.progress import Silent
from voxplain.results.study import ScanFound
from voxplain.study import Study
from voxplain.volume import resample

Run = Callable[..., tuple[int, str, str]]
QUICK = ("report", "--no-figures")


def no_pictures(*_: object) -> tuple[dict[str, bytes], dict[str, object]]:
    return {}, {}


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures."""
    monkeypatch.setattr("voxplain.pipeline.report.run.draw_pictures", no_pictures)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return bare_study(tmp_path / "study")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of which all is there, and its report."""
    study = whole_study(tmp_path_factory.mktemp("whole") / "study")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("voxplain.pipeline.report.run.draw_pictures", no_pictures)
        write_report(ReportOptions(study.folder, subjects=4), Silent())
    return study


def page_of(study: Study) -> str:
    return (study.folder / "report.html").read_text(encoding="utf-8")


def section(page: str, anchor: str) -> str:
    found = re.search(rf'<section id="{anchor}"[^>]*>(.*?)</section>', page, re.DOTALL)
    assert found, anchor
    return found[1]


def words(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)))


def viewer(page: str) -> dict:
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.mark.usefixtures("plain")
def test_what_was_not_run_is_one_line_with_its_command(run: Run, study: Study) -> None:
    code, shown, error = run(*QUICK, study.folder)
    assert (code, error) == (0, "")
    assert "Not run yet: Accuracy beside its controls, The maps, Group statistics" in shown
    page = page_of(study)
    for anchor, command in (
        ("accuracy", "fit"),
        ("maps", "explain"),
        ("group", "group"),
        ("agreement", "trust"),
        ("masked", "reclassify"),
    ):
        html = section(page, anchor)
        assert html.count("<p") == 1
        assert 'class="not-run"' in html
        assert f"voxplain {command} {study.folder.name}" in words(html)
    assert "24 scans are ready; no network was trained" in words(section(page, "verdict"))
    assert f"voxplain report --no-figures {study.folder.name}" in words(page.partition("<main>")[0])
    assert re.search(r"Study study · .* · 20\d\d-\d\d-\d\d \d\d:\d\d", words(page))


@pytest.mark.usefixtures("plain")
def test_a_part_comes_in_once_it_is_run(run: Run, study: Study) -> None:
    add_fit(study)
    assert run(*QUICK, study.folder)[0] == 0
    page = page_of(study)
    sentence = words(section(page, "verdict"))
    assert "0.950 (95 % interval 0.820 to 1.000), better than chance; no maps were" in sentence
    assert "Scans of each class in each fold" in section(page, "asked")


@pytest.mark.usefixtures("plain")
def test_who_was_left_out_and_who_stands_out(run: Run, study: Study) -> None:
    add_fit(study)
    told = {
        "subjects": 24,
        "excluded": {"not fetched": 1},
        "outliers": {"06": "brain too small"},
        "recipe": [{"step": "align", "how": "affine"}],
        "doubts": [{"name": "masks", "sentence": "Masks <lie> elsewhere.", "scans": ["06"]}],
    }
    study.write_json("cohort.json", told)
    study.write_text("exclusions.tsv", f"participant_id\tfound\treason\nsub-x\t{EVIL}\tlost\n")
    study.write_text("cohort.html", "")
    assert run(*QUICK, study.folder)[0] == 0
    page = page_of(study)
    told_of = words(section(page, "asked"))
    for said in ("found 25", "left out 1 not fetched 1", f"sub-x {EVIL} lost", "Masks <lie>"):
        assert said in told_of
    assert "They were prepared as follows: align: affine" in words(section(page, "methods"))
    first = words(section(page, "scans"))
    assert first.index(f"sub-{SUBJECTS[WRONG]}") < first.index("sub-06") < first.index("sub-00")
    assert "stands out among the scans (brain too small)" in first
    assert '<a href="cohort.html">The cohort and its quality</a>' in section(page, "repeat")


def test_all_parts_are_there_in_order(whole: Study) -> None:
    page = page_of(whole)
    told = words(section(page, "verdict"))
    assert "mrinet knows more than head size; maps of Gradient may be believed" in told
    assert "maps of SmoothGrad may not be believed" in told
    assert "Hippocampus L" in words(section(page, "maps"))
    assert "Clusters, Gradient for control: mean, class control" in words(section(page, "group"))
    assert "0.61" in words(section(page, "agreement"))
    assert str(whole.folder.parent) not in page
    faithful = words(section(page, "faithfulness"))
    assert "Curves of SmoothGrad were not kept by the version that tested them" in faithful
    card = "Agreement: what it measures, and how it misleads"
    assert card in words(section(page, "agreement"))
    assert card not in words(section(page, "trust"))
    assert "Average precision: what it measures" not in words(page)
    statistics = {one["statistic"] for one in viewer(page)["maps"]}
    assert statistics == {"mean", "t", "corrected p, voxels", "corrected p, TFCE", "single map"}
    order = re.findall(r'<section id="(.*?)"', page)
    wanted = ["verdict", "asked", "accuracy", "maps", "group", "regions", "agreement"]
    wanted += ["faithfulness", "masked", "features", "trust", "scans", "methods", "repeat"]
    assert order == wanted


@pytest.mark.usefixtures("plain")
def test_scans_that_are_not_in_mni_space_lie_on_no_cortex(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The brain stays where it is in the box, and the box moves.
    monkeypatch.setattr("made_study.GRID", GRID.moved(np.array([0, 0, 40.0])))
    monkeypatch.setattr("made_study.resample", lambda values, grid, _: resample(values, grid, GRID))
    study = bare_study(tmp_path / "study")
    add_maps(study, ["gradient"])
    assert run(*QUICK, study.folder)[0] == 0
    page = page_of(study)
    said = re.search(
        r"Maps were not laid on the cortex: (\d+) % of the average cortex of MNI space lies in "
        "the brain of the scans, so that they are not in MNI space",
        words(section(page, "maps")),
    )
    assert said
    assert 20 < int(said[1]) < 90
    assert "cortex" not in viewer(page)
    assert "fischl1999" not in page


@pytest.mark.usefixtures("plain")
def test_whole_heads_do_not_tell_where_the_brain_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("made_study.resample", lambda *_: np.ones(GRID.shape, np.float32))
    study = bare_study(tmp_path / "study")
    add_maps(study, ["gradient"])
    assert run(*QUICK, study.folder)[0] == 0
    page = page_of(study)
    box = abs(np.linalg.det(GRID.affine[:3, :3])) * np.prod(GRID.shape) / 1000
    filled = f"the scans fill {box:,.0f} mL, like whole heads"
    assert f"Regions are not named: {filled}" in words(section(page, "verdict"))
    assert f"Maps were not laid on the cortex: {filled}" in words(section(page, "maps"))
    assert not {"cortex", "atlas"} & {key for key, held in viewer(page).items() if held}


def test_scans_in_mni_space_lie_on_the_cortex(whole: Study) -> None:
    page = page_of(whole)
    assert "Maps were not laid" not in page
    assert "[fischl1999]" in words(section(page, "methods"))
    told, cortex = viewer(page)["cortex"], fsaverage()
    raw = {name: zlib.decompress(base64.b64decode(text)) for name, text in told.items()}

    def numbers(name: str) -> np.ndarray:
        low, high = np.frombuffer(raw[name], np.uint8).reshape(2, -1).astype(int)
        return (low | (high << 8)).astype(np.uint16).view(np.int16).reshape(3, -1).T

    np.testing.assert_allclose(numbers("pial") / 10, cortex.pial, atol=0.051)
    white = numbers("pial").astype(int) + numbers("inward")
    np.testing.assert_allclose(white / 10, cortex.white, atol=0.051)
    np.testing.assert_allclose(numbers("inflated") / 10, cortex.inflated, atol=0.051)
    np.testing.assert_array_equal(np.cumsum(numbers("faces"), axis=0), cortex.faces)
    assert list(raw["sulcus"]) == (cortex.sulcus > 0).astype(int).tolist()
    assert sum(map(len, told.values())) < 400_000


def test_a_name_from_a_file_is_text_and_no_markup(whole: Study) -> None:
    page = page_of(whole)
    assert EVIL not in page
    assert f"sub-{EVIL}" in words(section(page, "scans"))
    assert f"12 {CLASSES[1]}" in words(section(page, "asked"))
    assert page.count("<script") == page.count("</script>") == 2


def test_whom_to_look_at_first(whole: Study) -> None:
    html = section(page_of(whole), "scans")
    first, second, *_ = re.findall(r"<summary><strong>(.*?)</strong>", html)
    assert first == f"sub-{SUBJECTS[WRONG]}"
    assert second == "sub-07"
    assert "wrong, and 97 % sure" in html
    # By hand: the correlation of its map with the mean of the others of its class, in the brain.
    values = values_of("gradient")
    brain = np.load(whole.folder / "cohort/images.npy")[0] != 0
    others = [i for i in range(len(LABELS)) if LABELS[i] == LABELS[7] and i != 7]
    r = np.corrcoef(values[7][brain], values[others].mean(axis=0)[brain])[0, 1]
    assert f"its map is unlike those of its class (r {r:.2f})".replace("r -", "r −") in html
    assert "those of 20 others" in words(html)


@pytest.mark.usefixtures("plain")
def test_maps_of_all_others_lie_beside_the_page(run: Run, study: Study) -> None:
    add_fit(study)
    add_maps(study)
    assert run(*QUICK, study.folder, "--subjects", 2, "--everyone")[0] == 0
    data = viewer(page_of(study))
    assert len(data["elsewhere"]) == len(SUBJECTS) - 2
    for scan, file in data["elsewhere"].items():
        text = (study.folder / file).read_text(encoding="utf-8")
        held = json.loads(text.removeprefix("voxplainMaps(").removesuffix(");\n"))
        assert {one["subject"] for one in held["maps"]} == {scan}
        assert "<" not in text
    # A later report finds them without being told.
    assert run(*QUICK, study.folder, "--subjects", 2)[0] == 0
    assert viewer(page_of(study))["elsewhere"] == data["elsewhere"]


def rows_of(html: str, caption: str) -> list[list[str]]:
    """Cells of the table with a caption, its head first."""
    (table,) = re.findall(rf"<caption>{re.escape(caption)}</caption>(.*?)</table>", html, re.DOTALL)
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL) for line in lines]
    return [[unescape(cell) for cell in row] for row in cells]


@pytest.mark.usefixtures("plain")
def test_tables_of_regions_that_explain_wrote_are_shown(run: Run, study: Study) -> None:
    add_maps(study, ["gradient"])
    assert run(*QUICK, study.folder)[0] == 0
    before = section(page_of(study), "regions")
    # Without tables of explain, the report's own have no ranks' intervals, and it says so.
    head, *_ = rows_of(before, "Gradient, control: regions of AAL")
    assert "95 % of ranks" not in head
    assert (
        f"voxplain explain {study.folder.name} --network mrinet --target own --atlas AAL"
        in words(before)
    )
    columns = "class label region voxels mean peak peak_x peak_y peak_z share density rank sd"
    columns = f"{columns} rank_low rank_high".split()
    rows = [
        ["all", 2, "Second_R", 9, -0.2, -3, -1.4, 10, -20.6, 0.1, 2.5, 2, 0.3, 1, 7],
        ["all", 1, "First_L", 9, 0.5, 4, 31, -0.2, 8, 0.2, 5, 1, 0.24, 1, 2],
        ["all", 0, "outside regions", 9, 9, 9, 9, 9, 9, 0.7, 9, "n/a", "n/a", "n/a", "n/a"],
        ["case", 1, "First_L", 9, 8, 8, 8, 8, 8, 8, 8, 1, 8, 8, 8],
    ]
    lines = ["\t".join(map(str, row)) for row in (columns, *rows)]
    record = study.read_json("explain.json")
    for atlas in ("AAL", "Own <b>"):
        file = f"group/made_atlas-{len(atlas)}_regions.tsv"
        study.write_text(file, "\n".join(lines) + "\n")
        told = record["group"]["gradient"][0].setdefault("regions", [])
        told.append({"atlas": atlas, "table": file, "best": {}})
    study.write_json("explain.json", record)
    assert run(*QUICK, study.folder)[0] == 0
    html = section(page_of(study), "regions")
    assert "--atlas AAL" not in html
    # By hand: 12 scans; the quantile of Student's t for 11 degrees of freedom is 2.201.
    half = 2.201 * 0.24 / 12**0.5
    interval = f"{0.5 - half:.2g} to {0.5 + half:.2g}"
    for caption in ("Gradient, control: regions of AAL", "Gradient, control: regions of Own <b>"):
        _, first, second = rows_of(html, escape(caption))
        assert first == [
            "First L", "31,\xa00,\xa08", "4", "0.5", interval, "20.0 %", "5.00", "1", "1 to 2"
        ]  # fmt: skip
        assert second[:4] == ["Second R", "−1,\xa010,\xa0−21", "−3", "−0.2"]
        assert second[-1] == "1 to 7"
    assert "All regions: group/made_atlas-3_regions.tsv" in words(html)


def test_figures_for_a_paper(run: Run, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxplain.report.figures.style._PRINT_DPI", 40)
    add_fit(study)
    add_maps(study, ["gradient"])
    code, shown, _ = run("report", study.folder)
    assert code == 0
    names = {path.stem for path in (study.folder / "figures").glob("paper-*.svg")}
    assert f"{len(names)} figures for a paper" in shown
    assert {"paper-Scores", "paper-Gallery-Control", "paper-Mosaic-Gradient-Control"} <= names
    assert {"paper-Glass", "paper-Regions-Gradient-Control", "paper-Calibration"} <= names
    captions = (study.folder / "figures/paper-captions.txt").read_text(encoding="utf-8")
    for name in names:
        assert (study.folder / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (study.folder / f"figures/{name}.svg").read_bytes()[:900]
        (told,) = re.findall(rf"^{re.escape(name)}: (.{{40,}})$", captions, re.MULTILINE)
        assert told.endswith(".")


def test_methods_and_references_follow_what_was_run(whole: Study) -> None:
    text = words(section(page_of(whole), "methods"))
    for said in (
        "mrinet (MRINet, 298,498 parameters, in float32) was trained to tell control and case",
        "in a cross-validation of 5 folds",
        "2 epochs of Adam; seed 3",
        "SmoothGrad [smoothgrad] (samples 4)",
        "(12 scans; maps not smoothed), by 30 changes of the maps' signs [winkler2014]",
        "by the regions of AAL [AAL]",
        "threshold-free cluster enhancement [smith2009]",
        "doi = {10.1016/j.neuroimage.2008.03.061}",
        "20 How data were assigned to parts 5 folds",
        "40 registration; 41 where the full protocol is; 42 funding.",
    ):
        assert said in text, said
    cited = set(re.findall(r"\[([A-Za-z0-9, -]+)\]", text))
    keys = {key for group in cited for key in group.split(", ")}
    assert keys == set(re.findall(r"@\w+\{([^,]+),", text))
    commands = words(section(page_of(whole), "repeat"))
    assert f"voxplain fit {whole.folder.name} --network mrinet --cv 5" in commands
    assert "--method gradient --method smoothgrad" in commands


@pytest.mark.parametrize(
    ("made", "arguments", "sentence"),
    [
        ({}, (), "is no study: it has no dataset_description.json"),
        ({"dataset_description.json": "{}", "demo.json": "{}"}, (), "is a demonstration"),
        ({"dataset_description.json": "{}"}, ("--atlas", "Talairach"), "Unknown atlas 'Talairach'"),
        ({"dataset_description.json": "{}"}, ("--subjects", "-1"), "--subjects is a number"),
        ({"dataset_description.json": "{}"}, (), "holds files that voxplain did not write"),
    ],
)
def test_what_is_no_study_is_refused_in_a_sentence(
    run: Run, tmp_path: Path, made: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    code, _, error = run("report", tmp_path, *arguments)
    assert code == 2
    assert sentence in error
    assert "Traceback" not in error


@pytest.mark.usefixtures("plain")
def test_maps_of_another_grid_and_place_are_left_out(run: Run, study: Study) -> None:
    add_fit(study)
    add_maps(study)
    record = study.read_json("explain.json")
    lost, moved = (record["group"]["gradient"][c]["map"] for c in (0, 1))
    study.remove(lost)
    image = nib.load(study.folder / moved)
    nib.save(nib.Nifti1Image(image.get_fdata(), image.affine * 2), study.folder / moved)
    assert run(*QUICK, study.folder, "--atlas", "none")[0] == 0
    held = {(one["method"], one["target"]) for one in viewer(page_of(study))["maps"]}
    assert held == {("SmoothGrad", name) for name in CLASSES}
    assert "Regions were not named" in words(section(page_of(study), "regions"))
    assert GRID.shape == tuple(viewer(page_of(study))["shape"])


@pytest.mark.usefixtures("plain")
def test_a_part_that_cannot_be_read_is_said_and_left_out(run: Run, study: Study) -> None:
    add_fit(study)
    add_trust(study)
    summary = study.read_json("summary.json")
    del summary["fit"]["ceiling"]
    study.write_json("summary.json", summary)
    code, shown, _ = run(*QUICK, study.folder)
    assert code == 0
    assert "Accuracy beside its controls" in shown
    told = words(section(page_of(study), "verdict"))
    assert "Part fit of summary.json is left out: it was written by another version" in told
    assert "maps of Gradient may be believed" in told


def test_numbers_that_are_far_off_come_first() -> None:
    found = {
        f"sub-{i:02d}": ScanFound(f"sub-{i:02d}", f"{50 + i}", f"{50 + i + 0.1 * (i % 7)}")
        for i in range(20)
    }
    found["sub-11"] = ScanFound("sub-11", "61", "81.5")
    first, *others = judge_scans(found, [], {"sub-03": "dark"}, numbers=True)
    assert (first.name, first.reasons) == ("sub-11", ("predicted 81.5 for 61, far from it",))
    assert others[0].reasons == ("stands out among the scans (dark)",)
    assert all(not one.reasons for one in others[1:])

"""``voxplain report --anonymise``: what is given away names nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_study import EVIL, GRID, SUBJECTS, WRONG, add_fit, add_maps, bare_study

from voxplain.errors import StudyError
from voxplain.pipeline.report.anonymous import (
    KEY,
    pseudonyms_of,
    renamed_maps,
    renamed_results,
    write_anonymous,
)
from voxplain.report.html.sections import Page, Section, Text
from voxplain.report.words.pseudonyms import Pseudonyms
from voxplain.results.study import CohortFound, ScanFound, StudyFound
from voxplain.study import Study
from voxplain.volume import Cohort

Run = Callable[..., tuple[int, str, str]]
NAMES = Pseudonyms(
    {
        "01": "sub-003",
        "IXI012": "sub-001",
        "7": "sub-002",
        "A b": "sub-004",
        "01_ses-2": "sub-003_x",
    }
)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("sub-01", "sub-003"),
        ("01", "sub-003"),
        ("sub-7 and 7 others", "sub-002 and 7 others"),
        (
            "IXI012 and 01, such as sub-IXI012_T1w.nii",
            "sub-001 and sub-003, such as sub-001_T1w.nii",
        ),
        ("on 2026-01-01 by 0.01 or 01", "on 2026-01-01 by 0.01 or sub-003"),
        ("sub-01_ses-2", "sub-003_x"),
        ("01_ses-2; sub-01_ses-1", "sub-003_x; sub-003_ses-1"),
        ("A b, sub-A b", "sub-004, sub-004"),
        ("/data/IXI012/T1.nii is cut, ~/x too", "(file) is cut, (file) too"),
        ("and/or https://doi.org/10.1/x IXI0123", "and/or https://doi.org/10.1/x IXI0123"),
    ],
)
def test_labels_and_paths_are_replaced_in_texts(text: str, other: str) -> None:
    assert NAMES.text(text) == other
    assert NAMES.named_in(text) == ("A b" not in text and other != text)
    assert not NAMES.named_in(other)


def test_texts_are_found_wherever_they_are() -> None:
    @dataclass(frozen=True)
    class Told:
        words: str
        rest: object

    told = Told("sub-01", {"IXI012": [("sub-7", 7, np.float32(1))], "n": None})
    assert NAMES.told(told) == Told(
        "sub-003", {"sub-001": [("sub-002", 7, np.float32(1))], "n": None}
    )


def found_of(cohort: Cohort) -> StudyFound:
    scans = tuple(ScanFound(f"sub-{name}", urgency=float(name == "05")) for name in cohort.subjects)
    told = {
        "outliers": {"05": "dark"},
        "doubts": [{"name": "copies", "sentence": "05 and 07 are alike.", "scans": ["05", "07"]}],
    }
    left_out = (("sub-gone", "/data/gone.nii", "gone.nii cannot be read"),)
    cohort_told = CohortFound(len(cohort.subjects), {}, "", "", told, left_out)
    return StudyFound("name", "/home/me/study", cohort=cohort_told, scans=scans)


def test_names_are_drawn_once_and_tell_no_order(tmp_path: Path) -> None:
    study = bare_study(tmp_path / "study")
    from voxplain.cohort.store.reader import open_store

    cohort = open_store(study.folder / "cohort")
    names = pseudonyms_of(study, cohort, found_of(cohort))
    assert sorted(names.names.values()) == [f"sub-{i:03d}" for i in range(1, len(SUBJECTS) + 2)]
    assert [names.name(one) for one in SUBJECTS] != sorted(map(names.name, SUBJECTS))
    assert pseudonyms_of(study, cohort, found_of(cohort)).names == names.names
    assert (study.folder / KEY).stat().st_mode & 0o077 == 0
    found = renamed_results(found_of(cohort), names)
    order = [one.name for one in found.scans]
    assert order == [names.name("05"), *sorted(order[1:])]
    assert found.cohort is not None
    one, two = names.name("05"), names.name("07")
    assert found.cohort.told["doubts"] == [
        {"name": "copies", "sentence": f"{one} and {two} are alike.", "scans": sorted([one, two])}
    ]
    gone = names.name("gone")
    assert found.cohort.exclusions == ((gone, "(file)", f"{gone}.nii cannot be read"),)
    assert (found.path, found.cohort.told["outliers"]) == ("STUDY", {})
    # Whoever joins later takes a number that is free.
    more = cohort.participants.assign(
        participant_id=["new", *cohort.participants["participant_id"][1:]]
    )
    later = pseudonyms_of(
        study, Cohort(more, cohort.class_names, cohort.grid, cohort.load), found_of(cohort)
    )
    assert later.names == names.names | {"new": f"sub-{len(SUBJECTS) + 2:03d}"}
    page = Page("Report", "", (Section("One", "one", [Text(("It is sub-07.",))]),))
    with pytest.raises(StudyError, match="would still name participants, so it was not written"):
        write_anonymous(study, study, page, "x.html", found, names)
    assert not (study.folder / "x.html").exists()


def test_scans_of_one_participant_stay_together(tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(
        {
            "participant_id": ["sub-a1", "sub-a1", "sub-b2"],
            "session_id": ["ses-20190304", "ses-2", "ses-2"],
        }
    ).assign(label="x")
    study = Study(tmp_path / "study", "test", "0")
    cohort = Cohort(table, ("x",), GRID, lambda i: np.zeros(GRID.shape))
    names = pseudonyms_of(study, cohort, StudyFound("", ""))
    person = names.name("sub-a1")
    assert names.name("a1_ses-20190304") == f"{person}_scan-1"
    assert names.name("a1_ses-2") == f"{person}_scan-2"
    assert names.name("b2_ses-2") == f"{names.name('b2')}_scan-1"


def test_nothing_that_is_shared_names_anybody(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxplain.pipeline.report.run.draw_pictures", lambda *_: ({}, {}))
    study = bare_study(tmp_path / "study")
    add_fit(study)
    add_maps(study, ["gradient"])
    code, shown, error = run(
        "report", study.folder, "--anonymise", "--everyone", "--subjects", 2, "--no-figures"
    )
    assert (code, error) == (0, "")
    assert f"Who is who stands in {study.folder / KEY}; keep it to yourself." in shown
    assert not (study.folder / "report.html").exists()
    key = dict(line.split("\t") for line in (study.folder / KEY).read_text().splitlines()[1:])
    shared = study.folder / "anonymous"
    files = sorted(str(path.relative_to(shared)) for path in shared.rglob("*") if path.is_file())
    beside = sorted(f"report-scans/{name}.js" for name in key.values())
    assert [name for name in files if name.startswith("report-scans")] == sorted(
        {*beside} & {*files}
    )
    assert len([name for name in files if name.startswith("report-scans")]) == len(SUBJECTS) - 2
    bad = [f"sub-{name}" for name in SUBJECTS if name not in ("001",)]
    for name in files:
        text = (shared / name).read_text()
        assert EVIL not in text.replace(EVIL, "", text.count(f"case {EVIL}"))
        found = {one for one in bad if re.search(rf"{re.escape(escape(one))}(?!\d)", text)}
        assert not found, name
        assert str(tmp_path) not in text
    page = (shared / "report.html").read_text()
    assert "voxplain report STUDY --anonymise" in page
    wrong = key[f"{WRONG:02d}"]
    assert wrong in page
    rows = [
        line.split("\t") for line in (shared / "predictions-mrinet.tsv").read_text().splitlines()
    ]
    assert sorted(row[0] for row in rows[1:]) == [row[0] for row in rows[1:]]
    (one,) = (row for row in rows if row[0] == wrong)
    assert one[3] != one[4]
    assert json.loads((shared / "dataset_description.json").read_text())["Name"]


def test_labels_that_are_all_words_are_replaced_too() -> None:
    names = Pseudonyms({"IXI012": "sub-001"})
    assert names.text("IXI012 in /data/IXI012/T1.nii") == "sub-001 in (file)"


def test_maps_of_two_sessions_are_told_apart_by_their_other_names(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "participant_id": ["sub-a1", "sub-a1", "sub-b2"],
            "session_id": ["ses-20190304", "ses-2", "ses-2"],
            "run_id": ["run-1"] * 3,
        }
    ).assign(label="x")
    cohort = Cohort(table, ("x",), GRID, lambda i: np.zeros(GRID.shape))
    study = Study(tmp_path, "test", "0")
    names = pseudonyms_of(study, cohort, StudyFound("", ""))
    maps: Any = SimpleNamespace(cohort=cohort, single={"b2_ses-2_run-1": ["a map"]})
    found = renamed_maps(maps, names, study)
    assert found.cohort.subjects == [
        names.name(one).removeprefix("sub-") for one in cohort.subjects
    ]
    assert "run_id" not in found.cohort.participants
    assert found.single == {names.name("b2_ses-2_run-1"): ["a map"]}
    assert (found.beside, maps.cohort) == (study, cohort)


def test_models_without_a_network_have_no_table_of_predictions(tmp_path: Path) -> None:
    study = Study(tmp_path, "test", "0")
    study.write_text("model/mrinet/predictions.tsv", "scan\tp\nsub-a1\t0.5\n")
    names = Pseudonyms({"a1": "sub-001"})
    fit: Any = SimpleNamespace(models={"mrinet": None, "voxels": None})
    page = Page("Report", "", (Section("One", "one", [Text(("It is sub-001.",))]),))
    made = write_anonymous(study, study, page, "x.html", StudyFound("", "", fit=fit), names)
    assert made == tmp_path / "x.html"
    (table,) = tmp_path.glob("predictions-*.tsv")
    assert table.read_text() == "scan\tp\nsub-001\t0.5\n"

"""Who is who: names in tables and of scans, sessions in names, words for classes."""

from __future__ import annotations

import itertools
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxplain.cohort.find.labels import parse_coding, read_labels
from voxplain.cohort.find.participants import join, plain_label, session_label
from voxplain.cohort.find.sessions import read_name, read_names
from voxplain.cohort.find.sources import from_bids, from_cat12, from_freesurfer, from_table
from voxplain.errors import InputError, VoxplainWarning
from voxplain.fit import find_groups
from voxplain.fit.outcome import Outcome


class TestJoin:
    @pytest.mark.parametrize(
        ("scans", "table"),
        [
            (["01", "02"], ["sub-02", "sub-01"]),
            (["IXI012", "IXI002"], ["IXI-002", "IXI-012"]),
            (["002S0295", "002S0300"], ["002_S_0295", "002_S_0300"]),
            (["1_2", "12"], ["12", "1_2"]),
            (["1.0", "10"], ["10", "1.0"]),
        ],
    )
    def test_equal_names_are_joined_in_silence(self, scans: list[str], table: list[str]) -> None:
        found = join(scans, [name.removeprefix("sub-") for name in table])
        assert len(found.rows) == 2
        assert (found.said, found.hint) == ("", "")
        for one, other in found.rows.items():
            assert plain_label(one) == plain_label(other)

    @pytest.mark.parametrize(
        ("scan", "table"),
        [("01", "1"), ("007", "7"), ("S01", "s1"), ("abc", "ABC"), ("01", "subject 1"),
         ("01", "sub01"), ("IXI012", "ixi12"), ("A-01", "a1")],
    )  # fmt: skip
    def test_what_differs_by_zeros_case_or_prefix_is_joined_and_said(
        self, scan: str, table: str
    ) -> None:
        found = join([scan, "other"], [table, "other"])
        assert found.rows == {scan: table, "other": "other"}
        assert f"{scan} = {table}" in found.said

    def test_padded_names_of_one_build(self) -> None:
        found = join(["OAS10001MR1", "OAS10023MR1"], ["OAS1_0001_MR1", "OAS1_0023_MR1"])
        assert found.rows["OAS10023MR1"] == "OAS1_0023_MR1"
        assert "OAS10001MR1 = OAS1_0001_MR1" in found.said

    @pytest.mark.parametrize(
        ("scans", "table"),
        [
            (["12"], ["1_2"]), (["10"], ["1.0"]), (["112"], ["1_12", "11_2"]),
            (["S12", "S13"], ["S1_2", "S1_3"]), (["01023"], ["01_023"]), (["01"], ["S01"]),
            (["ADNI002S0295"], ["002_S_0295"]), (["01", "001"], ["1"]), (["01"], ["1", "001"]),
        ],
    )  # fmt: skip
    def test_what_may_be_somebody_else_is_hinted_at(
        self, scans: list[str], table: list[str]
    ) -> None:
        found = join(scans, table)
        assert found.rows == {}
        assert found.hint.startswith("These look alike but are not joined: ")
        assert scans[0] in found.hint
        assert table[0] in found.hint

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.from_regex(r"[aB]?[0-2]{1,3}([-_.][0-2]{1,2})?", fullmatch=True), min_size=2,
                    max_size=8, unique=True), st.data())  # fmt: skip
    def test_no_two_names_are_joined_with_one_and_equal_ones_always_are(
        self, names: list[str], data: st.DataObject
    ) -> None:
        table = data.draw(st.lists(st.sampled_from([*names, "9", "99"]), unique=True))
        found = join(names, table)
        assert len(set(found.rows.values())) == len(found.rows)
        for name in names:
            if name in table:
                assert found.rows[name] == name
        for one, other in found.rows.items():
            # Independent of how it is found: the digits of both, zeros aside, are one number each.
            numbers = [
                [int(part) for part in "".join(c if c.isdigit() else " " for c in name).split()]
                for name in (one, other)
            ]
            assert numbers[0] == numbers[1]


class TestSessions:
    @pytest.mark.parametrize(
        ("text", "participant", "session", "run"),
        [
            ("sub-01_ses-2", "01", "2", ""),
            ("sub-01_ses-2.long.sub-01", "01", "2", ""),
            ("sub-01_ses-pre_run-2_T1w", "01", "pre", "run-2"),
            ("sub-01_acq-a_ses-2", "01", "2", "acq-a"),
            ("Sub-01_ses-2", "01", "2", ""),
            ("01_ses-2", "01", "2", ""),
            ("bert", "bert", "", ""),
            ("OAS1_0001_MR1", "OAS1_0001_MR1", "", ""),
        ],
    )
    def test_one_name(self, text: str, participant: str, session: str, run: str) -> None:
        found = read_name(text)
        assert (found.participant, found.session, found.run) == (participant, session, run)

    @pytest.mark.parametrize(
        "endings",
        [("_visit1", "_visit2"), ("_V1", "_V2"), ("-tp1", "-tp2"), ("_MR1", "_MR2"),
         ("_bl", "_m06"), ("_20200101", "_20210101"), ("_T1", "_T2"), ("_time1_T1", "_time2_T1"),
         ("_wave-1", "_wave-2"), ("_pre", "_post"), ("_scan1", "_scan2")],
    )  # fmt: skip
    def test_plain_patterns_are_sessions_where_somebody_has_two(
        self, endings: tuple[str, str]
    ) -> None:
        both = [f"S01{end}" for end in endings]
        one = f"S02{endings[0]}"
        found = read_names([*both, one])
        assert [name.participant for name in found] == ["S01", "S01", "S02"]
        assert len({name.session for name in found}) == 2
        alone = read_names([both[0], one])
        assert [name.participant for name in alone] == [both[0], one]
        known = read_names([both[0], one], ["S01", "S02"])
        assert [name.participant for name in known] == ["S01", "S02"]

    @pytest.mark.parametrize(
        "names",
        [["control_1", "control_2"], ["control_t1", "control_t2"], ["a1", "a2"], ["S1_A", "S1_B"],
         ["10_1", "10_2"], ["IXI002-Guys-0828", "IXI012-HH-1211"]],
    )  # fmt: skip
    def test_people_are_no_sessions(self, names: list[str]) -> None:
        assert [name.participant for name in read_names(names)] == names

    def test_labels_of_sessions(self) -> None:
        told = [session_label(value) for value in ("ses-01", "1.0", "n/a", "bl", "2")]
        assert told == ["01", "1", "", "bl", "2"]


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def table(folder: Path, rows: str) -> Path:
    path = folder / "t.tsv"
    path.write_text(rows.replace(" ", "\t"))
    return path


@pytest.mark.parametrize("reader", ["freesurfer", "cat12"])
@pytest.mark.parametrize("name", ["sub-{}_ses-{}", "S{}_visit{}", "OAS1_00{}_MR{}"])
@pytest.mark.parametrize("listed", ["people", "scans", "sessions"])
def test_sessions_of_one_participant_stay_together(
    tmp_path: Path, reader: str, name: str, listed: str
) -> None:
    """However the table names them, folds never part the sessions of one participant."""
    people = ["01", "02", "03", "04"]
    scans = [name.format(who, when) for who in people for when in (1, 2)]
    for made in scans:
        cat12 = f"mri/mwp1{made}.nii"
        touch(tmp_path / (cat12 if reader == "cat12" else f"{made}/mri/brain.mgz"))
    sex = {who: "MF"[int(who) % 2] for who in people}
    person, word = re.fullmatch(r"(.+?{})_(?:ses-)?([a-zA-Z]*){}", name).groups()
    rows = {
        "people": ["participant_id sex", *(f"{person.format(p)} {sex[p]}" for p in people)],
        "scans": [
            "participant_id sex",
            *(f"{made} {sex[made.partition('_' + word)[0][-2:]]}" for made in scans if word),
            *(f"{made} {sex[made[4:6]]}" for made in scans if not word),
        ],
        "sessions": [
            "participant_id session_id sex",
            *(f"{person.format(p)} {word}{when} {sex[p]}" for p in people for when in (1, 2)),
        ],
    }[listed]
    read = from_freesurfer if reader == "freesurfer" else from_cat12
    given_table = table(tmp_path, "\n".join(rows))
    found = read(tmp_path, given_table, "sex", all_scans=True)
    assert len(found) == 8
    truth = [next(p for p in people if f"{p}_" in str(scan.image)) for scan in found.scans]
    assert list(found.participants["label"]) == [
        "male" if sex[who] == "M" else "female" for who in truth
    ]
    outcome = Outcome("sex", np.arange(8) % 2, ("a", "b"))
    groups, _ = find_groups(found.participants, outcome, 2)
    assert groups is not None
    for i, j in itertools.combinations(range(8), 2):
        assert (groups[i] == groups[j]) == (truth[i] == truth[j])
    one = read(tmp_path, given_table, "sex")
    assert len(one) == 4
    assert {gone.reason for gone in one.exclusions} == {"another session"}
    second = read(tmp_path, given_table, "sex", session=found.scans[1].session)
    assert [scan.session for scan in second.scans] == [found.scans[1].session] * 4
    with pytest.raises(InputError, match="No scan is of session '9'; the sessions are"):
        read(tmp_path, given_table, "sex", session="9")


def test_longitudinal_runs_and_templates(tmp_path: Path) -> None:
    for name in ("sub-01_ses-1", "sub-01_ses-2", "sub-01_ses-1.long.sub-01", "sub-01",
                 "sub-02_ses-1.long.sub-02_base", "sub-02_base", "sub-03_ses-1"):  # fmt: skip
        touch(tmp_path / name / "mri/brain.mgz")
    rows = table(tmp_path, "participant_id sex\nsub-01 M\nsub-02 F\nsub-03 F\n")
    found = from_freesurfer(tmp_path, rows, "sex", all_scans=True)
    used = [scan.image.path.parts[-3] for scan in found.scans]
    assert used == [
        "sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1.long.sub-02_base", "sub-03_ses-1",
    ]  # fmt: skip
    assert [scan.name for scan in found.scans] == ["01_ses-1", "01_ses-2", "02_ses-1", "03_ses-1"]
    assert sorted(one.reason for one in found.exclusions) == [
        "a longitudinal run of a session that is used",
        "a template of this participant's sessions",
        "a template of this participant's sessions",
    ]


def test_cat12_longitudinal_maps_and_maps_named_by_folders(tmp_path: Path) -> None:
    for name in ("mri/mwp1sub-01_ses-1_T1w", "mri/mwp1rsub-01_ses-1_T1w",
                 "mri/mwp1rsub-01_ses-2_T1w", "P7/mri/mwp1T1", "P8/mri/mwp1T1"):  # fmt: skip
        touch(tmp_path / f"{name}.nii")
    rows = table(tmp_path, "participant_id sex\n01 M\nP7 F\nP8 M\n")
    found = from_cat12(tmp_path, rows, "sex", all_scans=True)
    assert [scan.name for scan in found.scans] == ["01_ses-1", "01_ses-2", "P7", "P8"]
    assert found.scans[0].image.name == "mwp1sub-01_ses-1_T1w.nii"


def test_sessions_in_the_names_of_a_table(tmp_path: Path) -> None:
    for name in "abc":
        touch(tmp_path / f"{name}.nii")
    rows = "participant_id image sex\n01_ses-1 a.nii M\n01_ses-2 b.nii M\n02_ses-1 c.nii F\n"
    found = from_table(table(tmp_path, rows), "sex")
    assert list(found.participants["participant_id"]) == ["sub-01", "sub-01", "sub-02"]
    assert list(found.participants["session_id"]) == ["ses-1", "ses-2", "ses-1"]


def test_rows_of_a_table_without_an_image_are_left_out(tmp_path: Path) -> None:
    for name in "ab":
        touch(tmp_path / f"{name}.nii")
    text = "participant_id\timage\tsex\n01\ta.nii\tM\n02\t\tF\n03\tb.nii\tF\n"
    found = from_table(table(tmp_path, text), "sex")
    assert [scan.name for scan in found.scans] == ["01", "03"]
    assert [(one.subject, one.reason) for one in found.exclusions] == [("02", "no image is named")]


class TestBids:
    def scans(self, folder: Path, *labels: str) -> None:
        for label in labels:
            touch(folder / f"sub-{label}/anat/sub-{label}_T1w.nii.gz")

    def test_zeros_are_joined_and_said(self, tmp_path: Path) -> None:
        self.scans(tmp_path, *(f"{i:02d}" for i in range(1, 13)))
        rows = "participant_id sex\n" + "".join(f"{i} {'MF'[i % 2]}\n" for i in range(1, 13))
        with pytest.warns(VoxplainWarning, match=r"table: 01 = 1, 02 = 2, .* 05 = 5 and 4 more"):
            found = from_bids(tmp_path, "sex", participants=table(tmp_path, rows))
        for scan, label in zip(found.scans, found.participants["label"], strict=True):
            assert label == ("male", "female")[int(scan.subject) % 2]

    def test_look_alikes_are_not_joined(self, tmp_path: Path) -> None:
        self.scans(tmp_path, "11", "12", "13")
        rows = table(tmp_path, "participant_id sex\n11 M\n13 F\n1_2 F\n")
        with pytest.warns(VoxplainWarning, match="12 of the scans and 1_2 of the table"):
            found = from_bids(tmp_path, "sex", participants=rows)
        assert [scan.subject for scan in found.scans] == ["11", "13"]
        rows = table(tmp_path, "participant_id sex\n1_1 M\n1_3 F\n1_2 F\n")
        with pytest.raises(InputError, match=r"not in the table\. These look alike .*write one as"):
            from_bids(tmp_path, "sex", participants=rows)

    def test_names_that_make_one_label(self, tmp_path: Path) -> None:
        for name in ("1_2", "12"):
            touch(tmp_path / name / "mri/brain.mgz")
        rows = table(tmp_path, "participant_id sex\n1_2 M\n12 F\n")
        with pytest.raises(InputError, match="12 and 1_2 would both be called sub-12"):
            from_freesurfer(tmp_path, rows, "sex")


def labels(cells: list[str], coding: str | None = None) -> tuple[list[str | None], str]:
    given_coding = None if coding is None else parse_coding(coding)
    return read_labels(pd.Series(cells, name="dx"), given_coding)


class TestLabels:
    @pytest.mark.parametrize(
        "odd",
        ["unknown", "-", "?", "#N/A", "U", "not reported", "N/A", "", "None", "prefer not to say"],
    )
    def test_what_nobody_knows_makes_no_class(self, odd: str) -> None:
        found, said = labels(["M", "F", "Male", "female", "m", odd])
        assert found == ["male", "female", "male", "female", "male", None]
        assert odd in ("", "n/a") or f"Left out, as a missing value: {odd} (1)." in said

    @pytest.mark.parametrize(
        ("cells", "classes"),
        [
            (
                ["True", "TRUE", "False", "false", "TRUE"],
                ["TRUE", "TRUE", "False", "False", "TRUE"],
            ),
            (["AD", "ad", "CN", " C N", "AD"], ["AD", "AD", "CN", "CN", "AD"]),
            (["yes", "Y", "no", "N"], ["yes", "yes", "no", "no"]),
            (["T", "true", "F"], ["true", "true", "false"]),
            (["+", "-", "+"], ["+", "-", "+"]),
            (["U", "B"], ["U", "B"]),
            (["R", "NR"], ["R", "NR"]),
            (["Y", "N", "Y"], ["Y", "N", "Y"]),
        ],
    )
    def test_classes(self, cells: list[str], classes: list[str]) -> None:
        assert labels(cells)[0] == classes

    def test_a_coding_can_leave_out(self) -> None:
        assert labels(["AD", "MCI", "cn", "mci"], "MCI=n/a")[0] == ["AD", None, "cn", None]
        found, said = labels(["1", "2.0", "-9", "-9"], "1=male,2=female,-9=n/a")
        assert found == ["male", "female", None, None]
        assert said.endswith("Left out, as a missing value: -9 (2).")
        assert labels(["unknown", "AD"], "unknown=unknown,AD=AD")[0] == ["unknown", "AD"]
        assert labels(["none", "mild"], "none=healthy,mild=ill")[0] == ["healthy", "ill"]

    @pytest.mark.parametrize(
        ("text", "coding"),
        [
            (">=50=old,<50=young", {">=50": "old", "<50": "young"}),
            ("1=>=50,2=<50", {"1": ">=50", "2": "<50"}),
            ('"yes, treated"=case, no=control', {"yes, treated": "case", "no": "control"}),
            ('no=control, "yes, treated=case"', {"yes, treated": "case", "no": "control"}),
        ],
    )
    def test_codings(self, text: str, coding: dict[str, str]) -> None:
        assert parse_coding(text) == coding

    @pytest.mark.parametrize(
        ("cells", "coding", "message"),
        [
            (["1", "2", "?"], None, r"holds numbers \(1, 2\); say what they mean"),
            (["M", "F", "-9"], None, r"numbers \('-9'\) beside words .* --coding -9=n/a"),
            (["1", "2"], "1=a", r"holds 2, which the coding 1 = a does not name.*2=n/a"),
            (["1", "2"], "1=a,1.0=b", r"gives '1' two meanings"),
            (["1"], "1=", r"looks like 1=male,2=female,-9=n/a"),
        ],
    )
    def test_refusals(self, cells: list[str], coding: str | None, message: str) -> None:
        with pytest.raises(InputError, match=message):
            labels(cells, coding)

    def test_another_word_beside_sexes_is_said(self) -> None:
        with pytest.warns(VoxplainWarning, match="holds 'femal' beside words for sex"):
            assert labels(["M", "F", "femal"])[0] == ["male", "female", "femal"]

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(st.sampled_from(["case", "control", "other kind", None]), min_size=4, max_size=12),
        st.data(),
    )
    def test_spelling_changes_no_class(self, truth: list[str | None], data: st.DataObject) -> None:
        changes = (str.upper, str.title, " {} ".format, lambda text: text.replace(" ", "  "))
        change = st.sampled_from([*changes, lambda text: text.replace(" ", "")])
        gap = st.sampled_from(["", "n/a", "unknown", "-", "?", "Not reported", "#N/A"])
        cells = [data.draw(gap) if one is None else data.draw(change)(one) for one in truth]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found, _ = labels(cells)
        for a, b in itertools.combinations(range(len(truth)), 2):
            assert (found[a] == found[b]) == (truth[a] == truth[b])
        assert [one is None for one in found] == [one is None for one in truth]

"""What is said of a bundle follows from its scores: bias by hand, calibration, the gate, and a page that holds every figure."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pandas")

from models.bundle import ARTIFACTS, Bundle
from models.card import Quality
from models.train import text_report
from models.train.text_baseline import profanity_check
from models.train.text_bias import Bias, judge, names
from models.train.text_gate import Passage
from models.train.text_measure import Findings
from models.train.text_reliability import Reliability

pytestmark = pytest.mark.train


def test_bias_by_hand() -> None:
    named = np.array([True, True, False, False])
    truth = np.array([True, False, True, False])
    scores = np.array([0.9, 0.6, 0.5, 0.1], np.float32)
    found = judge("hate", "women", named, truth, scores)
    # A harmless text that names the group scores above a harmful one that does not.
    assert (found.subgroup, found.bpsn, found.bnsp) == (1.0, 0.0, 1.0)
    assert (found.texts, found.positives) == (2, 1)


@pytest.mark.parametrize(
    ("identity", "text", "expected"),
    [("women", "two WOMEN came", True), ("men", "two women came", False), ("jewish", "a jewel", False), ("muslim", "an Islamic school", True)],
)
def test_a_group_is_named_by_whole_words(identity: str, text: str, expected: bool) -> None:
    assert names(identity, [text]).tolist() == [expected]


@pytest.mark.parametrize(
    ("passage", "why"),
    [
        (Passage(auc_lost={"hate": 0.001}, calibration_error={"hate": 0.01}, alone=0.0), ""),
        (Passage(auc_lost={"hate": 0.02}, calibration_error={"hate": 0.01}, alone=0.0), "int8 loses"),
        (Passage(auc_lost={}, calibration_error={"hate": 0.2}, alone=0.0), "calibration error"),
        (Passage(auc_lost={}, calibration_error={}, alone=0.1), "alone differs"),
    ],
)
def test_the_gate_says_why(passage: Passage, why: str) -> None:
    assert why in "; ".join(passage.reasons())
    assert bool(passage.reasons()) is bool(why)


@pytest.mark.skipif(importlib.util.find_spec("profanity_check") is None, reason="alt-profanity-check is not installed")
def test_the_package_that_people_install_first_is_a_peer() -> None:
    peer = profanity_check()
    assert peer is not None
    scores = peer.label("any", ["you stupid idiot", "good morning"])
    assert scores is not None
    assert scores[0] > scores[1]
    assert peer.label("hate", ["x"]) is None


def test_the_page_holds_what_was_measured_and_its_plots_lie_beside_it(tmp_path: Path) -> None:
    quality = Quality(
        slice="edos: sexist", label="hate", rows=10, positives=4, figures={"auc": 0.812, "macro_f1": 0.7}, intervals={"auc": (0.79, 0.83)},
        baselines={"tfidf_lr": {"auc": 0.654, "average_precision": 0.5}},
    )
    card = Bundle.open(ARTIFACTS / "moderation").card.model_copy(update={"quality": (quality,)})
    findings = Findings(
        robustness={"leet": 0.0123},
        hard_cases={"shipped": {"insult": (0.87, 13)}, "before": {"insult": (0.52, 13)}},
        float32_minus_int8={"edos": 0.0011},
        reliability=(Reliability(label="hate", error=0.0214, bins=((0.1, 0.12, 50), (0.9, 0.88, 40))),),
        bias=(Bias(label="hate", identity="women", texts=90, positives=30, subgroup=0.811, bpsn=0.777, bnsp=0.888),),
        thresholds={"hate": (0.66, 0.9)},
        graded=0.691,
        limit=2000,
    )
    page = tmp_path / "docs" / "moderation.md"
    page.parent.mkdir()
    text_report.write(page, card, findings, size_mb=12.5)
    text = page.read_text()
    for figure in ("0.812", "0.654", "+0.0123", "0.87", "0.52", "0.0214", "0.777", "0.66", "0.691", "12.5 MB"):
        assert figure in text, figure
    plots = sorted(file.name for file in (tmp_path / "docs" / "moderation").iterdir())
    assert all(f"(moderation/{name})" in text for name in plots)
    assert plots
    for name in plots:
        ET.parse(page.parent / "moderation" / name)

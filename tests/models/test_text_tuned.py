"""What labels of one's own gain is measured on texts that neither the model nor the fit has seen, beside a model of the same labels."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import pandas as pd

from models.bundle import ARTIFACTS
from models.errors import ModelError
from models.train.text_tuned import AS_SHIPPED, TFIDF, TUNED, gains
from tests.models.test_tuning import CHAT, GUILD

pytestmark = pytest.mark.train
MODERATION = ARTIFACTS / "moderation"


def test_a_notion_of_ones_own_is_learned_from_the_training_part_and_judged_on_the_test_part(tmp_path: Path) -> None:
    rows = [
        {"text": text, "insult": int(texts is GUILD), "split": "test" if number % 4 == 0 else "train"}
        for texts in (GUILD, CHAT)
        for number, text in enumerate(texts)
    ]
    (tmp_path / "moderation").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "moderation" / "insults.parquet")
    few, many = gains(MODERATION, tmp_path, verdicts=(60, 500), thresholds={"harassment": 0.7})
    assert (few.slice, few.label, few.texts, few.positives) == ("insults: insult", "harassment", 40, 20)
    assert (few.verdicts, many.verdicts) == (60, 120), "there are no more than that"
    assert few.auc[AS_SHIPPED] == many.auc[AS_SHIPPED]
    for one in (few, many):
        assert set(one.auc) == set(one.ap) == {AS_SHIPPED, TUNED, TFIDF}
        assert all(low <= value <= high for value, low, high in one.auc.values())
        assert bool(one.refused) <= (one.auc[TUNED] == one.auc[AS_SHIPPED])
    assert many.auc[TUNED][0] > many.auc[AS_SHIPPED][0]
    assert many.auc[TFIDF][0] > 0.9


def test_a_folder_without_any_such_set_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none of founta, .* insults in its folder moderation"):
        gains(MODERATION, tmp_path, verdicts=(500,), thresholds={})

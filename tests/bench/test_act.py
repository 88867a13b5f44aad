"""The benchmark of the actions service on a few hundred flags: each is accounted for, at each endpoint. No speed is asserted."""

from __future__ import annotations

from typing import Any

import pytest

from stream.bench.act import run_act
from stream.errors import UsageError

FLAGS = 400


@pytest.mark.timeout(240)
def test_every_flag_is_accounted_for_at_an_endpoint_that_is_well_one_that_fails_and_one_that_hangs() -> None:
    figures = run_act(flags=FLAGS, delay_s=0.02)
    assert (figures["flags"], figures["missing"], figures["twice"], figures["out_of_order"]) == (FLAGS, 0, 0, 0)
    well, failing, hanging = figures["endpoints"]
    assert (well["delivered"], well["dead_letters"], well["requests"]) == (FLAGS, 0, FLAGS)
    assert failing["delivered"] + failing["dead_letters"] == FLAGS
    assert failing["requests"] > 1.2 * FLAGS, "it failed, and was tried again"
    assert (hanging["delivered"], hanging["dead_letters"]) == (0, FLAGS)
    assert 0 < hanging["requests"] < FLAGS, "it was tried, and then spared"
    assert figures["ratio_alone"] == pytest.approx(figures["well_flags_per_s"] / figures["alone_flags_per_s"], abs=0.002)


@pytest.mark.parametrize("wrong", [{"flags": 0}, {"rounds": 0}, {"delay_s": -1.0}])
def test_nonsense_is_refused_before_anything_starts(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        run_act(**wrong)

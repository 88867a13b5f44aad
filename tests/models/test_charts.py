"""Charts are well-formed, whatever the names in them are."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from models.charts import Chart, Line, Row, bars, dots, lines

_NASTY = '<script>"&'


def _all() -> list[Chart]:
    return [
        lines([Line(name=_NASTY, points=[(0, 0), (0.5, 2.0)], dots=True)], title=_NASTY, x_label=_NASTY, y_label=_NASTY),
        bars([(_NASTY, 3.0, 4.0)], title=_NASTY, y_label=_NASTY, names=(_NASTY, "b")),
        dots(
            [Row(name=_NASTY, values=[0.7, None, 1.4], interval=(0.6, 0.8))], title=_NASTY, names=("us", "peer", _NASTY), low=0.5, high=1.0
        ),
    ]


def test_every_chart_is_well_formed_in_a_page_and_alone() -> None:
    for chart in _all():
        assert ET.fromstring(chart.image()).attrib["aria-label"] == _NASTY
        assert ET.fromstring(chart.figure()).tag == "figure"
        assert "<script>" not in chart.image() + chart.figure()


def test_a_dot_stands_where_its_value_lies_and_never_outside() -> None:
    chart = dots([Row(name="x", values=[0.5, 0.75, 1.0, 2.0])], title="t", names="wxyz", low=0.5, high=1.0)
    found = sorted(float(one.attrib["cx"]) for one in ET.fromstring(chart.image()).iter("{http://www.w3.org/2000/svg}circle") if len(one))
    assert found[1] - found[0] == found[2] - found[1]
    assert found[3] == found[2]

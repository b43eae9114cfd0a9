"""Where a search by dates alone is refused: which channels are asked for."""

import pytest
from model_source import ACCOUNT, Traits

from journeyport import extract, wire
from journeyport.client import RefusedError
from journeyport.extract.opening import channels_of, coverage_of

LONG = "C" * 30


def by_channel_only(source):
    """The source refuses a search without channels, and names it takes for none."""
    search, asked = source.search, []

    def refusing(account, ask):
        asked.append(ask.channels)
        if not ask.channels or any(not 3 <= len(name) <= 20 for name in ask.channels):
            raise RefusedError("refused", wire.Problem(400, "no", ()))
        return search(account, ask)

    source.search = refusing
    return asked


def test_a_channel_no_search_can_name_is_left_out_and_told(world):
    here = world(traits=Traits(rows=5), channels=("Voice", LONG, "Chat"))
    asked = by_channel_only(here.source)
    report = here.night()
    assert report.failure is None
    assert {channels for channels in asked if channels} == {("Chat", "Voice")}
    assert {landing.coverage for landing in report.landings} == {"channels Chat, Voice"}
    (warning,) = report.warnings
    assert LONG in warning
    assert "longer than 20" in warning


@pytest.mark.parametrize(
    "names",
    [
        ("Chat", "Voice"),
        ("Desk, north", "Voice"),
        ('"Quoted" desk', 'The "second" desk'),
        ("a,b", "c", "two\nlines"),
    ],
)
def test_the_coverage_in_words_names_each_channel_again(names):
    assert channels_of(coverage_of(names)) == tuple(sorted(names))


def test_a_day_by_channels_whose_names_hold_commas_is_audited(world):
    here = world(traits=Traits(rows=5), channels=("Desk, north", "Voice"))
    asked = by_channel_only(here.source)
    here.land()
    del asked[:]
    here.set(audit_days=1)
    audited = here.audit()
    assert asked == [("Desk, north", "Voice")]
    assert audited.differing == []


def test_the_doctor_says_which_channels_it_asked_for_and_which_cannot_be(world):
    here = world(traits=Traits(rows=5))
    asked = by_channel_only(here.source)
    names = tuple(f"Desk {number:02}" for number in range(12))
    lines = extract.diagnose(here.source, ACCOUNT, channels=(LONG, *names)).lines
    assert {channels for channels in asked if channels} == {names[:10]}
    assert any("10 of the 12 channels" in line for line in lines)
    assert any(LONG in line and line.startswith("NOT") for line in lines)

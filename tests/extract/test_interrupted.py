"""A run that ends between two of its writes loses neither documents nor watches."""

from dataclasses import replace

import pytest
from model_source import ACCOUNT, DAY, Traits

from journeyport.extract.rules import ALL
from journeyport.state import watch


class _KilledError(BaseException):
    pass


@pytest.mark.parametrize(("land_first", "lost"), [(True, False), (False, True)])
def test_a_kill_between_landing_and_the_window_loses_nothing(world, land_first, lost):
    rules = replace(ALL, land_first=land_first)
    here = world(traits=Traits(rows=120), rules=rules, window_rows=40)
    append = here.lake.append_raw
    calls = iter(range(100))

    def killed(*arguments):
        if next(calls) == 1:
            raise _KilledError
        return append(*arguments)

    here.lake.append_raw = killed
    with pytest.raises(_KilledError):
        here.land()
    here.lake.append_raw = append
    landing = here.land().days[0]
    assert landing.status == "PROVED"
    here.tables([DAY.date()])
    assert (here.alive() != set(here.source.by_id)) is lost


def test_a_kill_just_after_landing_leaves_what_is_open_on_the_watch_list(world):
    here = world(traits=Traits(rows=10))
    append = here.lake.append_raw

    def killed(*arguments):
        append(*arguments)
        raise _KilledError

    here.lake.append_raw = killed
    with pytest.raises(_KilledError):
        here.land()
    here.lake.append_raw = append
    assert here.land().days[0].status == "PROVED"
    listed = {one.engagement_id for one in watch.listed(here.state, ACCOUNT)}
    assert listed == set(here.source.by_id)

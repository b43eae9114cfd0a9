"""The field policy: nothing it forbids reaches the first byte that is stored."""

from collections import Counter

import pytest
from model_source import ACCOUNT, DAY

from journeyport.errors import SettingsError
from journeyport.extract.policy import REDACTED, FieldPolicy, load_policy

DOCUMENT = {
    "id": "e1",
    "agentNotes": [{"id": "n1", "note": "secret"}, {"id": "n2", "text": "secret"}],
    "data": {"orderNumber": "17", "mood": "bad"},
    "participants": [{"callingNumber": "+4930123", "id": "p"}],
    "new": {"field": 1},
}


def test_notes_and_unlisted_data_are_dropped_and_counted_by_default():
    dropped = Counter()
    stored = load_policy().apply(DOCUMENT, dropped)
    assert stored["agentNotes"] == [{"id": "n1"}, {"id": "n2"}]
    assert stored["data"] == {}
    assert stored["new"] == {"field": 1}
    assert dropped == {"agentNotes[].note": 1, "agentNotes[].text": 1, "data{}": 2}
    assert DOCUMENT["data"]["mood"] == "bad"


def test_a_listed_key_is_kept():
    policy = load_policy(data_keys=("orderNumber",))
    stored = policy.apply(DOCUMENT, Counter())
    assert stored["data"] == {"orderNumber": "17"}
    assert policy.hash != load_policy().hash


def test_values_are_redacted_or_hashed_under_a_key():
    policy = FieldPolicy(
        (("participants[].callingNumber", "hash"), ("data.mood", "redact")), b"key"
    )
    stored = policy.apply(DOCUMENT, Counter())
    assert stored["data"]["mood"] == REDACTED
    hashed = stored["participants"][0]["callingNumber"]
    assert len(hashed) == 64
    other = FieldPolicy((("participants[].callingNumber", "hash"),), b"other")
    assert other.apply(DOCUMENT, Counter())["participants"][0] != hashed


@pytest.mark.parametrize(
    "fields", [(("a", "burn"),), (("a", "hash"),), (("", "drop"),)]
)
def test_a_policy_that_makes_no_sense_is_refused(fields):
    with pytest.raises(SettingsError):
        FieldPolicy(fields)


def test_a_policy_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "policy.yaml"
    for text in ("[]", "fields: 3", "{"):
        path.write_text(text)
        with pytest.raises(SettingsError, match="field policy"):
            load_policy(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_policy(tmp_path / "absent.yaml")


def test_what_is_dropped_is_nowhere_in_the_lake_and_counted_in_the_certificate(world):
    here = world()
    here.set(policy=load_policy())
    here.land()
    done = here.tables([DAY.date()])
    assert all('"version"' not in row["payload"] for row in here.raw())
    dropped = done[0].document["field_policy_dropped"]
    assert dropped == {"data{}": len(here.alive())}
    assert here.lake.read_raw(ACCOUNT, DAY.date()).num_rows == len(here.alive())

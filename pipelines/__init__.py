"""The orchestration: Dagster, and only here. Nothing imports it.

An asset takes plain objects, calls one function of `journeyport`, turns an error that
a person must mend into one sentence, and tells Dagster what came of it.
"""

"""The orchestration: Dagster, and only here. Nothing imports it.

An asset takes plain objects, calls one function of `journeyport`, turns an error that
a person must mend into one sentence, and tells Dagster what came of it.
"""

import warnings

# Dagster calls backfill policies beta, once per asset; they are used on purpose.
warnings.filterwarnings("ignore", message=".* is currently in beta")

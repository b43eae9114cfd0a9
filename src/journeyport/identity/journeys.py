"""Journeys: each customer's engagements in order, and their history in one row.

Which engagement is whose was decided before; here is only sequence, gaps, episodes and
channel switches.
"""

import pyarrow as pa

from journeyport.session import open_session

_ENGAGEMENTS = """
WITH placed AS (
    SELECT r.account_id, r.customer_id, e.engagement_id, e.start_date, e.channel,
           row_number() OVER w AS sequence,
           epoch_us(e.start_date) - epoch_us(lag(e.start_date) OVER w) AS gap,
           lag(e.channel) OVER w AS before
    FROM resolved r JOIN engagements e USING (engagement_id)
    WHERE r.customer_id IS NOT NULL
    WINDOW w AS (PARTITION BY r.customer_id ORDER BY e.start_date, e.engagement_id)
)
SELECT account_id, customer_id, engagement_id, start_date, sequence,
       gap / 1e6 AS gap_seconds,
       1 + count(*) FILTER (WHERE gap >= $gap * 1e6) OVER (
           PARTITION BY customer_id ORDER BY sequence ROWS UNBOUNDED PRECEDING
       ) AS episode,
       channel,
       CASE WHEN sequence > 1 THEN channel IS DISTINCT FROM before END
           AS is_channel_switch
FROM placed ORDER BY engagement_id
"""

_JOURNEYS = """
WITH held AS (
    SELECT j.*, e.status, e.topic FROM journey j JOIN engagements e
    USING (engagement_id)
)
SELECT any_value(c.account_id) AS account_id, c.customer_id,
       any_value(c.resolution) AS resolution,
       min(h.start_date) AS first_contact_at,
       max(h.start_date) AS last_contact_at,
       count(h.engagement_id) AS engagement_count,
       count(*) FILTER (
           WHERE h.engagement_id IS NOT NULL
           AND h.status IS DISTINCT FROM 'COMPLETED'
       ) AS open_engagement_count,
       coalesce(max(h.episode), 0) AS episode_count,
       coalesce(
           array_to_string(list_sort(list(DISTINCT h.channel)
               FILTER (WHERE h.channel IS NOT NULL)), ';'), ''
       ) AS channels,
       count(*) FILTER (WHERE h.is_channel_switch) AS channel_switch_count,
       arg_max_null(h.channel, h.sequence) AS last_channel,
       arg_max(h.topic, h.sequence) FILTER (WHERE h.topic IS NOT NULL) AS last_topic
FROM customers c LEFT JOIN held h USING (customer_id)
GROUP BY c.customer_id ORDER BY c.customer_id
"""


def journeys(
    engagements: pa.Table,
    resolved: pa.Table,
    customers: pa.Table,
    *,
    gap_hours: float,
) -> tuple[pa.Table, pa.Table]:
    """The rows of `journeys` and `journey_engagements`, of one account.

    Args:
        engagements: engagement_id, start_date, status, channel (its first), topic (its
            last); of one account.
        resolved: rows of `engagement_customers`.
        customers: rows of `customers`.
        gap_hours: from this silence on, a new episode.
    """
    with open_session() as connection:
        connection.register("engagements", engagements)
        connection.register("resolved", resolved)
        connection.register("customers", customers)
        members = connection.execute(
            _ENGAGEMENTS, {"gap": gap_hours * 3600}
        ).to_arrow_table()
        connection.register("journey", members)
        whole = connection.execute(_JOURNEYS).to_arrow_table()
    return whole, members

-- One row per airport and hour: the last 24 hours, oldest first, and how much the temperature has
-- changed six hours later. An hour that was not observed is not in the lists.
WITH hours AS (
  SELECT
    *,
    -- The sector a wind comes from; without a direction it is missing.
    CASE
      WHEN wind_speed = 0 THEN 'calm'
      WHEN wind_dir IS NOT NULL THEN concat('from_', CAST(pmod(round(wind_dir / 45), 8) AS INT))
    END AS wind,
    observed_at + INTERVAL 1 HOUR AS forecast_at
  FROM silver.observations
  -- The first forecast looks back a day, the last one's label lies ahead.
  WHERE forecast_date BETWEEN date_sub(:since, 2) AND date_add(:until, 1)
),
past AS (
  SELECT
    origin,
    observed_at,
    forecast_at,
    forecast_date,
    temp,
    collect_list(struct(temp, humid, pressure, wind_speed, wind)) OVER (
      PARTITION BY origin ORDER BY observed_at
      RANGE BETWEEN INTERVAL 23 HOURS PRECEDING AND CURRENT ROW
    ) AS hours
  FROM hours
)
SELECT
  past.origin,
  past.forecast_at,
  past.forecast_date,
  past.forecast_at AS prediction_at,
  transform(past.hours, one -> one.temp) AS temps,
  transform(past.hours, one -> one.humid) AS humids,
  transform(past.hours, one -> one.pressure) AS pressures,
  transform(past.hours, one -> one.wind_speed) AS wind_speeds,
  transform(past.hours, one -> one.wind) AS winds,
  hour(from_utc_timestamp(past.forecast_at, :timezone)) * 60 AS minute_of_day,
  dayofyear(from_utc_timestamp(past.forecast_at, :timezone)) AS day_of_year,
  later.temp - past.temp AS temp_change
FROM past
LEFT JOIN hours AS later
  ON later.origin = past.origin AND later.observed_at = past.observed_at + INTERVAL 6 HOURS
WHERE past.forecast_date BETWEEN :since AND :until

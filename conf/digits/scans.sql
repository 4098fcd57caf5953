-- One row per scan: the file as it came, and the digit once people have read it.
SELECT
  scans.scan_id,
  scans.scan_date,
  scans.scanned_at AS prediction_at,
  scans.file,
  readings.digit
FROM silver.scans AS scans
LEFT JOIN silver.readings AS readings ON readings.scan_id = scans.scan_id
WHERE scans.scan_date BETWEEN :since AND :until

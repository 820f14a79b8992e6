/* tomehub:migrations_known */
SELECT count(*)
FROM sqlite_schema
WHERE type = 'table'
  AND name = 'TOMEHUB_MIGRATIONS'

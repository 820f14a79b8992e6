/* tomehub:migrations */
SELECT version, name, checksum
FROM TOMEHUB_MIGRATIONS
ORDER BY version
